/** The version that health and the OpenAPI document name; a test holds it against package.json. */
export const VERSION = "0.1.0";
