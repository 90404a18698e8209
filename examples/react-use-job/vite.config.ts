import { defineConfig } from "vite";

const { DARKROOM_URL = "http://localhost:8787", DARKROOM_TOKEN } = process.env;

/**
 * The page calls its own origin, and this server passes `/api` on to Darkroom with the token. So the token never reaches a
 * browser, and no CORS is needed. In production the app's own server does the same.
 */
const proxy = {
  "/api": {
    target: DARKROOM_URL,
    ws: true,
    ...(DARKROOM_TOKEN === undefined ? {} : { headers: { authorization: `Bearer ${DARKROOM_TOKEN}` } }),
  },
};

export default defineConfig({ server: { proxy }, preview: { proxy } });
