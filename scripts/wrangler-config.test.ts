import { expect, it } from "vitest";
import { unstable_readConfig as readWranglerConfig } from "wrangler";

/** The deployment's settings, as wrangler resolves wrangler.toml. Each has an effect that no code of ours can have. */
const config = readWranglerConfig({ config: "wrangler.toml" });

it("has a compatibility date from which an object with an open call stays in memory", () => {
  expect(config.compatibility_date ?? "").toSatisfy((date: string) => date >= "2026-10-01");
  expect(config.compatibility_flags.filter((flag: string) => flag.includes("io_tasks"))).toEqual([]);
});

it("keeps the queries of addresses, and so signed links, out of the platform's logs", () => {
  expect(config.observability).toMatchObject({ enabled: true, redact_query_string: true });
});

it("sends a webhook to an address in the own zone through the public network only", () => {
  expect(config.compatibility_flags).toContain("global_fetch_strictly_public");
});
