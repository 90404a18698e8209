/** What vitest.config.ts sets for tests inside workerd, besides the bindings that wrangler.toml declares. */
declare namespace Cloudflare {
  interface Env {
    readonly QWEN_BASE_URL: string;
    readonly CLIENT_BUDGETS: string;
  }
}
