import { expect, it } from "vitest";
import { unstable_readConfig as readWranglerConfig } from "wrangler";

/** What a deployment is told, as wrangler resolves wrangler.toml; each is something that no code of ours can do by itself. */
const config = readWranglerConfig({ config: "wrangler.toml" });

it("states that an object with an open call stays in memory, whatever the compatibility date says", () => {
  expect(config.compatibility_flags).toContain("durable_object_io_tasks_prevent_eviction");
});

it("keeps the queries of addresses, and with them signed links, out of the platform's logs", () => {
  expect(config.observability).toMatchObject({ enabled: true, redact_query_string: true });
});

it("lets a webhook's address in the own zone be reached as the public reaches it only", () => {
  expect(config.compatibility_flags).toContain("global_fetch_strictly_public");
});
