/** Looks at a deployment from within: storage, objects, upstream and the key. Changes nothing that stays. */
import { nanoid } from "nanoid";
import { Problem } from "../../schemas/problem.ts";
import { OPEN_CLIENT } from "../auth/authenticate.ts";
import { createLinks } from "../auth/links.ts";
import { within, withinSignal } from "../bounds.ts";
import { askAboutKey } from "../dashscope/ask-about-key.ts";
import type { KeyAnswer } from "../dashscope/contract.ts";
import { REGION_HOSTS, REGION_NAMES, type Region } from "../dashscope/wire.ts";
import { type Config, type ConfigResult, isLoopback, isPlainToken, VARIABLES } from "../env.ts";
import { configuredModels, isInUse, laneName } from "../lane/lane-name.ts";
import { unitMicrosOf } from "../spend/prices.ts";
import { catalogStub, jobStub, laneStub, operatorLogStub } from "../stubs.ts";
import { targetFault } from "../webhooks/core/delivery.ts";
import type { Observations, Probe, PublicOriginAnswer, RegionAnswer } from "./core/diagnose.ts";

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

/** Writes an object, reads it back and deletes it. An object that stays after a failure holds only this text. */
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
  // An upstream on this machine is the emulator, which also serves the other regions: no key is sent to a real host.
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

/** A refused key is sent to the other regions, to name the one it belongs to; an accepted one is not. */
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

/** A client that exists, so that no new list is made. */
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

/** The code with which this service answers a link that it signed for a job that does not exist. */
const OPENED = "job_not_found";

/** Cloudflare's own answer to a Worker that calls a Worker of the same account or zone, while a browser gets through. */
const OWN_ACCOUNT_REFUSED = /\berror code: 1042\b/i;
const CANNOT_CHECK =
  "it cannot be checked from here, because Cloudflare lets no Worker call this address of its own account (error 1042). Open a link of a job in a browser";

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Follows a link as this service makes them, of a job that does not exist, to `PUBLIC_ORIGIN`. */
async function askPublicOrigin(config: Config, askedOrigin: string): Promise<PublicOriginAnswer> {
  const { publicOrigin } = config;
  if (publicOrigin === null || publicOrigin === askedOrigin) return { kind: "this service" };
  try {
    const link = createLinks(config, publicOrigin, Date.now()).image(`job_${nanoid()}`, 0);
    return await withinSignal(CALL_WITHIN_MS, "it", async (signal) => {
      const answer = await fetch(link, { redirect: "manual", signal });
      const { status } = answer;
      if (status < 400) {
        await answer.body?.cancel();
        return { kind: status < 300 ? "wrong" : "unjudged", seen: `it answers ${status}, not as this service does` };
      }
      const body = await answer.text().catch(() => "");
      if (OWN_ACCOUNT_REFUSED.test(body)) return { kind: "unjudged", seen: CANNOT_CHECK };
      const problem = Problem.safeParse(jsonOf(body));
      if (problem.data?.code === OPENED) return { kind: "this service" };
      if (problem.success) return { kind: "wrong", seen: `another Darkroom answers there (${problem.data.code})` };
      // A gateway in front of the service may let only browsers pass.
      const isDoor = status === 401 || status === 403;
      return { kind: isDoor ? "unjudged" : "wrong", seen: `it answers ${status}, not as this service does` };
    });
  } catch (error) {
    return { kind: "wrong", seen: `it was not reached: ${reasonOf(error)}` };
  }
}

/** Names of text in the env that no setting has. A binding is no text, and what begins with `_` is of the platform. */
function unreadNames(set: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(set).filter(
    (name) => typeof set[name] === "string" && /^[A-Za-z]/.test(name) && !VARIABLES.includes(name),
  );
}

function regionOf(baseUrl: string): Region | null {
  const regions = Object.keys(REGION_HOSTS) as Region[];
  return regions.find((region) => REGION_HOSTS[region] === baseUrl) ?? null;
}

/** Observes everything at once, as asked at `askedOrigin`. Never throws; takes some seconds at most. */
export async function examine(env: Env, read: ConfigResult, askedOrigin: string): Promise<Observations> {
  if (!read.ok) return { nowMs: Date.now(), config: read, found: null };
  const { config } = read;
  const [storage, job, lane, list, log, upstream, lanes, publicOrigin] = await Promise.all([
    probeStorage(env.RESULTS),
    probe("a job", () => jobStub(env, `job_${nanoid()}`).view(null)),
    probe("a lane", () => laneStub(env, laneName(config, config.models["image-from-text"])).report()),
    probe("a list", () =>
      catalogStub(env, someClient(config)).list({ status: null, workflow: null, limit: 1, cursor: null }),
    ),
    probe("the operator's log", () => operatorLogStub(env).list(null, 1)),
    askUpstream(config),
    lanesOf(env, config),
    askPublicOrigin(config, askedOrigin),
  ]);
  const defaults = [...new Set(Object.values(config.models))];
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
        hasPlainToken: isPlainToken(set.CLIENT_TOKENS),
        region: config.region,
        regionName: REGION_NAMES[config.region],
        upstreamHost: config.upstreamHost,
        hasOwnBaseUrl: config.baseUrl !== REGION_HOSTS[config.region],
        limited: Object.keys(config.budgets),
        unpriced: defaults.filter((model) => unitMicrosOf(config, model, null) === null),
        hostRegion: regionOf(config.baseUrl),
        notOffered: defaults.filter(
          (model) => config.modelTable.facts(model)?.regions.includes(config.region) === false,
        ),
        attemptBudgetMs: config.attemptBudgetMs,
        jobDeadlineMs: config.jobDeadlineSeconds * 1000,
        allowedOrigins: config.allowedOrigins,
        webhooks: Object.entries(config.clientWebhooks).map(([client, url]) => ({
          client,
          fault: targetFault(url, { ownOrigins: [askedOrigin], allowLoopback: config.authMode === "open" }),
        })),
        askedOrigin,
        publicOrigin: config.publicOrigin,
        unread: unreadNames(set),
      },
    },
    found: { storage, objects: { job, lane, list, log }, ...upstream, lanes, publicOrigin },
  };
}
