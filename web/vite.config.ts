import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { withoutDescriptions } from "../scripts/without-descriptions.ts";

/**
 * The page, built into `dist/web`, which the Worker serves as static assets. `npm run build`; for work on the page alone
 * `npx vite --config web/vite.config.ts` beside a running Worker (`API` is its address, `http://localhost:8787` by default).
 */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [withoutDescriptions(), react()],
  // The other transformer warns at every build of what it makes itself of `composes … from`.
  css: { transformer: "lightningcss" },
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    target: "es2023",
    // An inlined asset would be a data: address, which the content security policy need not allow for anything but images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // A part that is loaded later must not come without its styles: those that failed once would not be asked for again.
    cssCodeSplit: false,
    // What every page loads at first is one file: it compresses better than the dozen that later parts would share with it.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "page", tags: ["$initial"] }] } } },
  },
  server: { proxy: { "/api": { target: process.env.API ?? "http://localhost:8787", ws: true } } },
});
