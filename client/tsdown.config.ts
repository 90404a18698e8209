import { defineConfig } from "tsdown";
import { withoutDescriptions } from "../scripts/without-descriptions.ts";

/** The package `@darkroom/client`: ES modules with types. */
export default defineConfig(({ outDir }) => {
  // publint and arethetypeswrong look at the package as it is published, so only a build into its own `dist` is checked.
  const isPublished = outDir === undefined;
  return {
    entry: { index: "index.ts", schemas: "schemas.ts", webhooks: "webhooks.ts" },
    format: "esm",
    platform: "neutral",
    target: "es2022",
    fixedExtension: false,
    dts: true,
    plugins: [withoutDescriptions()],
    // zod is the package's only dependency; every other imported package must be listed here and becomes part of the bundle.
    deps: { onlyBundle: ["eventsource-parser"] },
    publint: isPublished && { strict: true },
    attw: isPublished && { profile: "esm-only", level: "error" },
  };
});
