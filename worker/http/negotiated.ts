/** What an answer depends on beside the address: its form on `Accept`, and who may see it on who asks. */
export const PRIVATE_VARY = "Accept, Authorization, Cookie";

/** Of a public answer: JSON is indented, and a problem told, as `Accept` says. */
export const PUBLIC_VARY = "Accept";
