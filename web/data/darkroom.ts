import { createDarkroomClient } from "../../client/darkroom-client.ts";

/** The page's only way to the server: its own origin, with the session cookie going along by itself. */
export const darkroom = createDarkroomClient();
