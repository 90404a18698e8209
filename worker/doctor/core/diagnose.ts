/** Derives from what was observed of a deployment what is wrong with it and how to correct it. Pure. */
import type { DoctorCheck } from "../../../schemas/doctor.ts";
import type { LaneReport, OperatorWord } from "../../../schemas/limits.ts";
import type { FieldError } from "../../../schemas/problem.ts";
import type { KeyAnswer } from "../../dashscope/contract.ts";

/** A call of ours to another part of the platform. `reason` is for people. */
export type Probe = { readonly ok: true; readonly tookMs: number } | { readonly ok: false; readonly reason: string };

export interface RegionAnswer {
  readonly region: string;
  /** As people call it. */
  readonly name: string;
  readonly answer: KeyAnswer;
}

export interface ConfiguredFacts {
  readonly variables: number;
  readonly authMode: "token" | "open";
  readonly clients: readonly string[];
  readonly hasOperator: boolean;
  /** `CLIENT_TOKENS` is a plain token instead of JSON with hashes. */
  readonly hasPlainToken: boolean;
  readonly region: string;
  readonly regionName: string;
  readonly upstreamHost: string;
  /** The host comes from `QWEN_BASE_URL`, not from the region. */
  readonly hasOwnBaseUrl: boolean;
  /** Names in `CLIENT_BUDGETS`; `*` is every other client. */
  readonly limited: readonly string[];
  /** Default models whose price is not known. */
  readonly unpriced: readonly string[];
  /** The region that the host of `QWEN_BASE_URL` belongs to; null for a host of no region. */
  readonly hostRegion: string | null;
  /** Default models that the vendor does not offer in the region. */
  readonly notOffered: readonly string[];
  readonly attemptBudgetMs: number;
  readonly jobDeadlineMs: number;
  readonly allowedOrigins: readonly string[];
  /** Names in `CLIENT_WEBHOOKS`, in its order, and what is wrong with an address in view of where the service was asked. */
  readonly webhooks: readonly { readonly client: string; readonly fault: string | null }[];
  /** Where the service was asked. */
  readonly askedOrigin: string;
  readonly publicOrigin: string | null;
  /** Variables that are set and are no setting of this service. */
  readonly unread: readonly string[];
}

/** What is at `PUBLIC_ORIGIN`: this service, another one, or nothing that could be judged. */
export type PublicOriginAnswer =
  | { readonly kind: "this service" }
  | { readonly kind: "wrong" | "unjudged"; readonly seen: string };

export interface Observations {
  readonly nowMs: number;
  readonly config:
    | { readonly ok: true; readonly facts: ConfiguredFacts }
    | { readonly ok: false; readonly errors: readonly FieldError[] };
  /** Null: not looked at, because settings are wrong. */
  readonly found: {
    readonly storage: Probe;
    readonly objects: Readonly<Record<"job" | "lane" | "list" | "log", Probe>>;
    readonly publicOrigin: PublicOriginAnswer;
    readonly key: KeyAnswer;
    /** Of the other regions; empty unless the key was refused. */
    readonly elsewhere: readonly RegionAnswer[];
    /** Of the default models, of those with limits and of all others in use; a lane that does not answer is left out. */
    readonly lanes: readonly LaneReport[];
  } | null;
}

const SECRETS = /^(QWEN_API_KEY|CLIENT_TOKENS(_\d)?|ADMIN_TOKEN_SHA256|SIGNING_SECRET(_OLD)?)$/;

/** Cloudflare keeps its clocks within a second; another machine may not. Links and sessions end by the clock. */
const MOST_CLOCK_DIFFERENCE_MS = 60_000;

function fine(name: string, seen: string): DoctorCheck {
  return { name, ok: true, seen, fix: null };
}

function wrong(name: string, seen: string, fix: string): DoctorCheck {
  return { name, ok: false, seen, fix };
}

function unknown(name: string, seen: string): DoctorCheck {
  return { name, ok: null, seen, fix: null };
}

function variableFix(name: string): string {
  const where = "wrangler.toml ([vars]) and deploy, or in .dev.vars on this machine";
  if (!SECRETS.test(name)) return `Set ${name} in ${where}.`;
  const shell = "That it is set in your shell says nothing: a deployed Worker sees only what was put for it.";
  return `Put it on the Worker: npx wrangler secret put ${name}. On this machine: .dev.vars, or the environment of npm start. ${shell}`;
}

function variableChecks(config: Observations["config"]): DoctorCheck[] {
  if (config.ok) return [fine("variables", `all ${config.facts.variables} that are set are right`)];
  return config.errors.map(({ path, message }) => wrong("variables", `${path} ${message}`, variableFix(path)));
}

function unreadChecks({ unread }: ConfiguredFacts): DoctorCheck[] {
  if (unread.length === 0) return [];
  const seen = `${unread.join(", ")}: set, but no setting has this name. "Configuration" in README.md lists them`;
  return [unknown("variables", seen)];
}

function tokenCheck({ authMode, clients, hasOperator, hasPlainToken }: ConfiguredFacts): DoctorCheck {
  if (authMode === "open") return fine("tokens", "open mode: whoever reaches this service may use it, with no token");
  const operator = hasOperator ? "and the operator's token" : "and no operator's token";
  if (clients.length === 0) {
    const refused = hasOperator ? "every call with another token" : "every call over HTTP";
    const seen = `CLIENT_TOKENS names no client ${operator}: ${refused} is answered 401. Right only where all apps call over a service binding, which needs no token`;
    const fix = "npm run token -- NAME makes a token, and prints the hash to put into CLIENT_TOKENS.";
    // The Worker does not see who is bound to it.
    return { name: "tokens", ok: null, seen, fix };
  }
  const names = clients.length > 5 ? `${clients.length} clients` : clients.join(", ");
  const held = hasPlainToken
    ? "CLIENT_TOKENS holds the token itself, and calls send it as it is. JSON with its hash takes its place once there are more clients: npm run token -- NAME"
    : "CLIENT_TOKENS holds their hashes; calls send the token itself";
  return fine("tokens", `tokens for ${names}, ${operator}. ${held}`);
}

/** A client with a limit is refused a model whose price is not known; a limit of a name that nobody has limits nobody. */
function limitChecks({ authMode, clients, limited, unpriced }: ConfiguredFacts): DoctorCheck[] {
  const checks: DoctorCheck[] = [];
  if (limited.length === 0) return checks;
  const names = limited.map((name) => (name === "*" ? "every other client" : name)).join(", ");
  const price = unpriced.map((model) => `"${model}":0.075`).join(",");
  checks.push(
    unpriced.length === 0
      ? fine("spend limits", `for ${names}; the default models have a price`)
      : wrong(
          "spend limits",
          `${names}: refused with 402, because the price of ${unpriced.join(" and ")} is not known`,
          `Say what an image costs: PRICES='{${price}}' with the prices of your account, in wrangler.toml ([vars]).`,
        ),
  );
  const unknownNames = limited.filter((name) => name !== "*" && !clients.includes(name));
  if (authMode === "token" && unknownNames.length > 0) {
    const seen = `CLIENT_BUDGETS names ${unknownNames.join(", ")}, which has no token: right only for an app that calls over a service binding`;
    checks.push(unknown("spend limits", seen));
  }
  return checks;
}

/** Settings that are right one by one, and do not fit each other. */
function modelChecks(facts: ConfiguredFacts): DoctorCheck[] {
  const { region, regionName, hostRegion, upstreamHost, notOffered, attemptBudgetMs, jobDeadlineMs } = facts;
  const checks: DoctorCheck[] = [];
  if (hostRegion !== null && hostRegion !== region) {
    const seen = `QWEN_BASE_URL names ${upstreamHost}, the host of ${hostRegion}, and QWEN_REGION is ${region}: quotas, prices and currency are those of ${region}`;
    const fix = `Set QWEN_REGION="${hostRegion}", or take QWEN_BASE_URL away, in wrangler.toml ([vars]).`;
    checks.push(wrong("region", seen, fix));
  }
  if (notOffered.length > 0) {
    const seen = `${notOffered.join(" and ")}: not offered in ${regionName} (${region}), as far as is known`;
    const fix = "Set QWEN_IMAGE_MODEL and QWEN_IMAGE_EDIT_MODEL to models of this region: GET /api/limits lists them.";
    checks.push({ name: "models", ok: null, seen, fix });
  }
  if (jobDeadlineMs < attemptBudgetMs) {
    const seen = `JOB_DEADLINE_SECONDS ends a job after ${jobDeadlineMs / 1000} s, and QWEN_TIMEOUT_MS gives one attempt ${attemptBudgetMs / 1000} s`;
    const fix = "Set JOB_DEADLINE_SECONDS far above the time of one attempt: a job waits for its turn, too.";
    checks.push(wrong("deadline", seen, fix));
  }
  return checks;
}

/** Where links lead, which pages may call, and where webhooks go. */
function addressChecks(facts: ConfiguredFacts, answer: PublicOriginAnswer): DoctorCheck[] {
  const { publicOrigin, askedOrigin, allowedOrigins, webhooks, authMode, clients } = facts;
  return [linkCheck(publicOrigin, askedOrigin, answer), originCheck(allowedOrigins), ...webhookChecks()];

  function webhookChecks(): DoctorCheck[] {
    if (webhooks.length === 0) return [];
    const checks: DoctorCheck[] = webhooks.flatMap(({ client, fault }, index) =>
      fault === null
        ? []
        : [
            wrong(
              "webhooks",
              `CLIENT_WEBHOOKS entry ${index + 1} (${client}) ${fault}: nothing is sent there`,
              "Set the address of the client's own receiver, in wrangler.toml ([vars]).",
            ),
          ],
    );
    const names = webhooks.map(({ client }) => client);
    const unknownNames = authMode === "token" ? names.filter((name) => !clients.includes(name)) : [];
    if (unknownNames.length > 0) {
      const seen = `CLIENT_WEBHOOKS names ${unknownNames.join(", ")}, which has no token: right only for an app that calls over a service binding`;
      checks.push(unknown("webhooks", seen));
    }
    return checks.length > 0 ? checks : [fine("webhooks", `CLIENT_WEBHOOKS has an address for ${names.join(", ")}`)];
  }
}

function linkCheck(publicOrigin: string | null, askedOrigin: string, answer: PublicOriginAnswer): DoctorCheck {
  if (publicOrigin === null) {
    const seen = `PUBLIC_ORIGIN is not set: links start with the address of each request, now ${askedOrigin}. An app that calls over a service binding needs it`;
    return fine("links", seen);
  }
  if (answer.kind === "this service") return fine("links", `start with ${publicOrigin} (PUBLIC_ORIGIN), and open here`);
  if (answer.kind === "unjudged") return unknown("links", `PUBLIC_ORIGIN is ${publicOrigin}: ${answer.seen}`);
  const fix = `Set PUBLIC_ORIGIN to the address under which browsers reach this service, like ${askedOrigin}, in wrangler.toml ([vars]); or take it away.`;
  return wrong("links", `PUBLIC_ORIGIN is ${publicOrigin}: ${answer.seen}, so no link of a job opens`, fix);
}

function originCheck(allowedOrigins: readonly string[]): DoctorCheck {
  if (allowedOrigins.length > 0) {
    return fine("origins", `pages of ${allowedOrigins.join(", ")} may call this service (ALLOWED_ORIGINS)`);
  }
  const seen =
    "ALLOWED_ORIGINS is not set: a browser lets only this service's own page call it. Name the origin of a web app that calls it by itself";
  return fine("origins", seen);
}

const TOOK = (tookMs: number) => `in ${Math.round(tookMs)} ms`;

function storageCheck(storage: Probe): DoctorCheck {
  if (storage.ok) return fine("storage", `wrote, read and deleted an object in R2 ${TOOK(storage.tookMs)}`);
  const fix = "See that the bucket of wrangler.toml exists (npx wrangler r2 bucket list) and is bound as RESULTS.";
  return wrong("storage", `R2 failed: ${storage.reason}`, fix);
}

function objectsCheck(objects: Readonly<Record<string, Probe>>): DoctorCheck {
  const failed = Object.entries(objects).flatMap(([name, probe]) => (probe.ok ? [] : [`${name}: ${probe.reason}`]));
  if (failed.length === 0) {
    const times = Object.entries(objects).map(
      ([name, probe]) => `${name} ${probe.ok ? Math.round(probe.tookMs) : ""} ms`,
    );
    return fine("objects", `Durable Objects answer: ${times.join(", ")}`);
  }
  const fix =
    "Try again: an object restarts after a deploy. If it stays, look at npx wrangler tail and at Cloudflare's status page.";
  return wrong("objects", `Durable Objects do not answer: ${failed.join("; ")}`, fix);
}

function clockCheck(nowMs: number, key: KeyAnswer): DoctorCheck {
  if (key.kind !== "answered" || key.dateMs === null) return unknown("clock", "no other clock to compare with");
  const differenceMs = nowMs - key.dateMs;
  const seconds = Math.abs(Math.round(differenceMs / 1000));
  if (Math.abs(differenceMs) <= MOST_CLOCK_DIFFERENCE_MS)
    return fine("clock", `within ${Math.max(1, seconds)} s of upstream's`);
  const fix = "Set this machine's clock: signed links, sessions and deadlines go by it.";
  return wrong("clock", `${seconds} s ${differenceMs > 0 ? "ahead of" : "behind"} upstream's`, fix);
}

function upstreamCheck({ upstreamHost, hasOwnBaseUrl, region }: ConfiguredFacts, key: KeyAnswer): DoctorCheck {
  const setting = hasOwnBaseUrl ? "QWEN_BASE_URL (it ends before /api/v1)" : `QWEN_REGION (now ${region})`;
  switch (key.kind) {
    case "silent":
      return wrong(
        "upstream",
        `${upstreamHost} was not reached: ${key.reason}`,
        `Look at ${setting}, and at the network of this service.`,
      );
    case "foreign":
      return wrong(
        "upstream",
        `${upstreamHost} answers ${key.httpStatus} with ${key.looksLike}, not as DashScope does`,
        `Look at ${setting}.`,
      );
    case "answered":
      if (key.httpStatus >= 500) {
        const fix = "Upstream is in trouble. Jobs wait and are tried again by themselves.";
        return wrong("upstream", `${upstreamHost} answers ${key.httpStatus} ${key.code ?? ""}`.trimEnd(), fix);
      }
      return fine("upstream", `${upstreamHost} answers as DashScope does ${TOOK(key.tookMs)}`);
    default:
      throw new Error(`no such answer: ${JSON.stringify(key satisfies never)}`);
  }
}

function keyCheck(facts: ConfiguredFacts, key: KeyAnswer, elsewhere: readonly RegionAnswer[]): DoctorCheck {
  if (key.kind !== "answered") return unknown("key", "not judged: the host does not answer as DashScope does");
  const words = [key.code, key.message].filter((word) => word !== null).join(": ");
  // It becomes part of a sentence that has its own full stop.
  const said = `${key.httpStatus} ${words}`.trimEnd().replace(/[.]+$/, "");
  if (key.accepted === null) return unknown("key", `not judged: ${facts.upstreamHost} answers ${said}`);
  if (key.accepted) return fine("key", `accepted by ${facts.upstreamHost}, by a call that costs nothing`);
  const seen = `refused by ${facts.upstreamHost}: ${said}`;
  const home = elsewhere.find(({ answer }) => answer.kind === "answered" && answer.accepted === true);
  if (home !== undefined) {
    const own = facts.hasOwnBaseUrl
      ? "take QWEN_BASE_URL away or name that region's host in it"
      : `it is ${facts.region} now`;
    const fix = `It is a key of ${home.name}: set QWEN_REGION="${home.region}" (${own}) and deploy. Or put a key of ${facts.regionName}: npx wrangler secret put QWEN_API_KEY.`;
    return wrong("key", `${seen}. ${home.name} (${home.region}) accepts it`, fix);
  }
  const unasked = elsewhere.filter(({ answer }) => answer.kind !== "answered" || answer.accepted === null);
  const asked = elsewhere.filter(({ answer }) => answer.kind === "answered" && answer.accepted === false);
  const refusedToo = asked.length > 0 ? `. Refused too by ${asked.map(({ region }) => region).join(", ")}` : "";
  const notReached = unasked.length > 0 ? `; not reached: ${unasked.map(({ region }) => region).join(", ")}` : "";
  const fix = `Make a key in the Model Studio console of ${facts.regionName}, and put it: npx wrangler secret put QWEN_API_KEY. A key works only in its region.`;
  return wrong("key", `${seen}${refusedToo}${notReached}`, fix);
}

/** A pause is intended, so it fails no check. It is shown, because it explains why nothing starts. */
function pauseWords({ reason, since, until }: OperatorWord): string {
  const end = until === null ? "until it is resumed" : `until ${until}`;
  return `; paused by the operator since ${since}, ${end}: ${reason}`;
}

function laneCheck({ model, blocked, paused, queued, inProgress }: LaneReport): DoctorCheck {
  const name = `lane ${model}`;
  const held = paused === null || paused === undefined ? "" : pauseWords(paused);
  const load = `${queued} waiting, ${inProgress} running${held}`;
  if (blocked === null) return fine(name, load);
  const fix = `${blocked.hint.replace(/\.?$/, ".")} No job is lost meanwhile; the next try is at ${blocked.nextProbeAt}.`;
  return wrong(name, `blocked by ${blocked.code} since ${blocked.since}; ${load}`, fix);
}

/** Every check, in the order in which a person would look. */
export function diagnose({ nowMs, config, found }: Observations): DoctorCheck[] {
  const checks = variableChecks(config);
  if (!config.ok || found === null) return checks;
  const { facts } = config;
  return [
    ...checks,
    ...unreadChecks(facts),
    tokenCheck(facts),
    ...limitChecks(facts),
    ...modelChecks(facts),
    ...addressChecks(facts, found.publicOrigin),
    storageCheck(found.storage),
    objectsCheck(found.objects),
    clockCheck(nowMs, found.key),
    upstreamCheck(facts, found.key),
    keyCheck(facts, found.key, found.elsewhere),
    ...found.lanes.map(laneCheck),
  ];
}
