import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { withoutDescriptions } from "../scripts/without-descriptions.ts";

/**
 * `npm run build` builds the page into `dist/web`, which the Worker serves as static assets. For work on the page alone run
 * `npx vite --config web/vite.config.ts` beside a running Worker (`API` is its address, `http://localhost:8787` by default).
 */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [withoutDescriptions(), react()],
  // The other transformer warns at every build about its own output for `composes … from`.
  css: { transformer: "lightningcss" },
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    target: "es2023",
    // An inlined asset would be a data: address, which the content security policy allows only for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // A part that is loaded later must not be shown without its styles: styles that failed to load once are not requested again.
    cssCodeSplit: false,
    // The code of the first load is one file: it compresses better than a dozen files shared with later parts.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "page", tags: ["$initial"] }] } } },
  },
  server: { proxy: { "/api": { target: process.env.API ?? "http://localhost:8787", ws: true } } },
});
