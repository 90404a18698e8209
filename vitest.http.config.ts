import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
export default defineConfig({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                QWEN_API_KEY: "sk-test",
                AUTH_MODE: "open",
                QWEN_BASE_URL: "http://127.0.0.1:9",
                QWEN_TIMEOUT_MS: "1000",
                LATE_ANSWER_MS: "4000",
              },
            },
          }),
        ],
        test: { name: "workers", include: ["worker/**/*.workers.test.ts"], testTimeout: 30_000 },
      },
    ],
  },
});
