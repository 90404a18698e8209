import { expect, it } from "vitest";
import { unstable_readConfig as readWranglerConfig } from "wrangler";

/** What a deployment is told, as wrangler resolves wrangler.toml; each is something that no code of ours can do by itself. */
const config = readWranglerConfig({ config: "wrangler.toml" });

it("has a compatibility date from which an object with an open call stays in memory", () => {
  expect(config.compatibility_date ?? "").toSatisfy((date: string) => date >= "2026-10-01");
  expect(config.compatibility_flags.filter((flag: string) => flag.includes("io_tasks"))).toEqual([]);
});

it("keeps the queries of addresses, and with them signed links, out of the platform's logs", () => {
  expect(config.observability).toMatchObject({ enabled: true, redact_query_string: true });
});

it("lets a webhook's address in the own zone be reached as the public reaches it only", () => {
  expect(config.compatibility_flags).toContain("global_fetch_strictly_public");
});
