/** Looks at a deployment from within: storage, objects, upstream and the key. Changes nothing that stays. */
import { nanoid } from "nanoid";
import { OPEN_CLIENT } from "../auth/authenticate.ts";
import { within, withinSignal } from "../bounds.ts";
import { askAboutKey } from "../dashscope/ask-about-key.ts";
import type { KeyAnswer } from "../dashscope/contract.ts";
import { REGION_HOSTS, REGION_NAMES, type Region } from "../dashscope/wire.ts";
import { type Config, type ConfigResult, isLoopback, VARIABLES } from "../env.ts";
import { configuredModels, isInUse, laneName } from "../lane/lane-name.ts";
import { unitMicrosOf } from "../spend/prices.ts";
import { catalogStub, jobStub, laneStub } from "../stubs.ts";
import type { Observations, Probe, RegionAnswer } from "./core/diagnose.ts";

/** Each call takes milliseconds when all is well; the doctor's answer waits for them. */
const CALL_WITHIN_MS = 8_000;

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200);
}

async function probe(what: string, call: () => Promise<unknown>): Promise<Probe> {
  const startedAtMs = Date.now();
  try {
    await within(CALL_WITHIN_MS, what, call());
    return { ok: true, tookMs: Date.now() - startedAtMs };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

/** Writes an object, reads it back and deletes it. One that stays behind after a failure holds nothing but this word. */
function probeStorage(bucket: R2Bucket): Promise<Probe> {
  return probe("R2", async () => {
    const key = `doctor/${nanoid()}`;
    const text = "written by GET /api/doctor";
    await bucket.put(key, text);
    const read = await (await bucket.get(key))?.text();
    await bucket.delete(key);
    if (read !== text) throw new Error("what was read is not what was written");
  });
}

function hostsOfOtherRegions({ baseUrl, region }: Config): { readonly region: Region; readonly baseUrl: string }[] {
  const regions = Object.keys(REGION_HOSTS) as Region[];
  // An upstream on this machine is the emulator, which plays the other regions itself: no key leaves for a real host.
  const isLocal = isLoopback(new URL(baseUrl).hostname);
  return regions
    .map((name) => ({ region: name, baseUrl: isLocal ? `${baseUrl}/region/${name}` : REGION_HOSTS[name] }))
    .filter((other) => (isLocal ? other.region !== region : other.baseUrl !== baseUrl));
}

function ask(baseUrl: string, apiKey: string): Promise<KeyAnswer> {
  const settings = { fetch: (url: string, init: RequestInit) => fetch(url, init), baseUrl, apiKey, now: Date.now };
  return withinSignal(CALL_WITHIN_MS, "the host", (signal) => askAboutKey(settings, signal)).catch(
    (error: unknown): KeyAnswer => ({ kind: "silent", reason: reasonOf(error) }),
  );
}

/** A wrong key is shown to the other regions, to name the one it belongs to; a right one is not. */
async function askUpstream(config: Config): Promise<{ key: KeyAnswer; elsewhere: readonly RegionAnswer[] }> {
  const key = await ask(config.baseUrl, config.apiKey);
  if (key.kind !== "answered" || key.accepted !== false) return { key, elsewhere: [] };
  const elsewhere = hostsOfOtherRegions(config).map(async ({ region, baseUrl }) => ({
    region,
    name: REGION_NAMES[region],
    answer: await ask(baseUrl, config.apiKey),
  }));
  return { key, elsewhere: await Promise.all(elsewhere) };
}

/** One that exists, so that no new list is begun. */
function someClient({ clientTokens }: Config): string {
  return Object.keys(clientTokens)[0] ?? OPEN_CLIENT;
}

async function lanesOf(env: Env, config: Config) {
  const asked = config.modelTable.names.map((model) =>
    within(CALL_WITHIN_MS, "the lane", laneStub(env, laneName(config, model)).report()).catch(() => null),
  );
  const shown = configuredModels(config);
  return (await Promise.all(asked))
    .filter((report) => report !== null)
    .filter((report) => shown.includes(report.model) || isInUse(report));
}

/** Observes everything at once. Never throws; takes some seconds at most. */
export async function examine(env: Env, read: ConfigResult): Promise<Observations> {
  if (!read.ok) return { nowMs: Date.now(), config: read, found: null };
  const { config } = read;
  const [storage, job, lane, list, upstream, lanes] = await Promise.all([
    probeStorage(env.RESULTS),
    probe("a job", () => jobStub(env, `job_${nanoid()}`).view(null)),
    probe("a lane", () => laneStub(env, laneName(config, config.models["image-from-text"])).report()),
    probe("a list", () =>
      catalogStub(env, someClient(config)).list({ status: null, workflow: null, limit: 1, cursor: null }),
    ),
    askUpstream(config),
    lanesOf(env, config),
  ]);
  const set = env as unknown as Readonly<Record<string, unknown>>;
  return {
    nowMs: Date.now(),
    config: {
      ok: true,
      facts: {
        variables: VARIABLES.filter((name) => set[name] !== undefined && set[name] !== "").length,
        authMode: config.authMode,
        clients: Object.keys(config.clientTokens),
        hasOperator: config.adminTokenSha256 !== null,
        region: config.region,
        regionName: REGION_NAMES[config.region],
        upstreamHost: config.upstreamHost,
        hasOwnBaseUrl: config.baseUrl !== REGION_HOSTS[config.region],
        limited: Object.keys(config.budgets),
        unpriced: [...new Set(Object.values(config.models))].filter(
          (model) => unitMicrosOf(config, model, null) === null,
        ),
      },
    },
    found: { storage, objects: { job, lane, list }, ...upstream, lanes },
  };
}
