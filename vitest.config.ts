import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

/**
 * Three projects: `unit` is pure code in plain Node, `workers` runs inside workerd with real objects and the emulator as
 * upstream, `product` drives the whole product from outside (processes, sockets, a browser).
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{schemas,worker,client,web,emulator,scripts}/**/*.test.{ts,tsx}"],
          exclude: ["**/*.workers.test.ts", "**/node_modules/**"],
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: { bindings: { QWEN_API_KEY: "sk-test", AUTH_MODE: "open" } },
          }),
        ],
        test: { name: "workers", include: ["worker/**/*.workers.test.ts"] },
      },
      {
        test: {
          name: "product",
          include: ["test/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
