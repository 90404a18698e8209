import { createHash } from "node:crypto";
import { between, chance, type Draws, pick, type Random, spread } from "./engine/random.ts";
import { RECEIVER_HOST } from "./receiver.ts";

const MODELS = {
  text: ["qwen-image-max", "z-image-turbo", "wan2.6-t2i"],
  reference: ["qwen-image-edit-max"],
} as const;

/** The price of one image: `PRICES` in every world. */
export const PRICES: Readonly<Record<string, number>> = {
  "qwen-image-max": 0.075,
  "qwen-image-edit-max": 0.06,
  "z-image-turbo": 0.015,
  "wan2.6-t2i": 0.03,
};

/** How a job is submitted. */
export type SubmitStyle =
  /** By the client library, which gives each call its own key and repeats it. */
  | "library"
  /** By the library with a key, and a second time by another caller with the same key. */
  | "twice"
  /** By a plain call without a key; nothing is repeated. */
  | "bare"
  /** By the library, which asks the server to hold the answer. */
  | "waiting"
  /** By a client that hangs up during the call, and tries again with the same key. */
  | "hangs up"
  /** As a client of the OpenAI-compatible API does: it waits for the images, and repeats with a mark. */
  | "openai"
  /** As a client of the DashScope-compatible API does: it waits for the images, and repeats without a mark. */
  | "dashscope"
  /** The same API's asynchronous form: it is answered with a task, and reads that until it ends. */
  | "dashscope task";

export type FollowStyle = "polls" | "waits" | "socket" | "stream";

export interface Act {
  readonly name: string;
  readonly what:
    | "cancel"
    | "retry"
    | "delete"
    | "fetch image"
    | "read events"
    | "annotate"
    | "retry twice"
    | "bulk cancel"
    | "bulk retry"
    | "bulk delete";
  readonly afterMs: number;
}

export interface JobPlan {
  readonly name: string;
  readonly client: string;
  readonly atMs: number;
  readonly style: SubmitStyle;
  readonly model: string;
  readonly withUpload: boolean;
  readonly n: number;
  readonly priority: "high" | "normal" | "low";
  readonly onUncertain: "retry" | "fail";
  /** How long a client of a compatible API waits for its answer at least, in ms. */
  readonly leastPatienceMs: number;
  /** By how much each wait of such a client before a repetition is longer than the one before, up to a minute. */
  readonly backoff: number;
  /** Null: the deployment's value, a day. */
  readonly deadlineSeconds: number | null;
  readonly followers: readonly { readonly name: string; readonly style: FollowStyle; readonly afterMs: number }[];
  readonly acts: readonly Act[];
}

export type Vars = Readonly<Record<string, string>>;

export interface DeployPlan {
  readonly name: string;
  readonly atMs: number;
  /** The time in which objects and isolates change to the new version. */
  readonly takesMs: number;
  readonly vars: Vars;
  readonly story: string;
}

/** What an operator does to a lane or a client, and ends again. */
export interface OperationPlan {
  readonly name: string;
  readonly what: "pause lane" | "limit lane" | "pause client";
  /** A model or a client. Each has one operation at most. */
  readonly target: string;
  readonly atMs: number;
  readonly forMs: number;
  /** The command names its end; otherwise another command ends it. */
  readonly endsItself: boolean;
}

/** Parts of the platform that can be down as a whole. */
export type Outage = "LANES" | "CATALOGS" | "JOBS" | "bucket" | "upstream";

export interface OutagePlan {
  readonly name: string;
  readonly what: Outage;
  readonly atMs: number;
  readonly forMs: number;
}

/** Everything that will be tried in one run, apart from faults. */
export interface Plan {
  readonly clients: readonly string[];
  readonly jobs: readonly JobPlan[];
  readonly feeds: readonly { readonly name: string; readonly client: string; readonly atMs: number }[];
  readonly lists: readonly { readonly name: string; readonly client: string; readonly atMs: number }[];
  readonly deploys: readonly DeployPlan[];
  readonly outages: readonly OutagePlan[];
  readonly operations: readonly OperationPlan[];
  /** How many tasks upstream runs at once. Further ones are pending. */
  readonly taskSlots: number;
  readonly vars: Vars;
  readonly budgetMs: number;
  readonly lateMs: number;
  readonly quotas: Readonly<Record<string, { readonly starts: number; readonly periodMs: number }>>;
  /** Client → its spend limit; absent: none. */
  readonly limits: Readonly<Record<string, number>>;
  /** Faults strike until this time. */
  readonly quietAtMs: number;
  /** The clocks of two machines differ by less than this, in ms. */
  readonly clocksDifferMs: number;
  readonly wallMs: number | null;
}

export function tokenOf(client: string): string {
  return `token-of-${client}`;
}

export const OPERATOR = "operator";

/**
 * Worlds from this seed on also have an operator, and clients that annotate jobs, act in bulk and repeat retries. Earlier seeds keep
 * their runs, which the regressions and the planted faults name.
 */
export const OPERATED_FROM = 2_000_000;

/** Worlds from this seed on also have clients of the OpenAI-compatible API. */
export const COMPATIBLE_FROM = 3_000_000;

/**
 * Worlds from this seed on also have machines whose clocks differ, impatient clients of the OpenAI-compatible API, and clients of the
 * DashScope-compatible one.
 */
export const VARIED_FROM = 4_000_000;

/** Worlds from this seed on have 15 to 60 jobs, where earlier ones have 3 to 14, so that more of them wait for each other. */
export const BUSY_FROM = 6_000_000;

/** A lane's window is longer than its quota's by a hundredth. A window of a minute allows for this difference of clocks, in ms. */
export const CLOCKS_DIFFER_MS = 500;

const SIGNING_SECRET = "a secret of the simulation";

export function planOf(draws: Draws, leftOut: ReadonlySet<string>, seed: number): Plan {
  const random = draws.of("plan");
  const clients = ["ada", "ben", "cleo"].slice(0, between(random, 1, 3));
  const budgetMs = pick(random, [5_000, 20_000, 45_000]);
  const lateMs = chance(random, 0.2) ? budgetMs : pick(random, [2, 4, 6]) * budgetMs;
  const quotas = Object.fromEntries(
    [...MODELS.text, ...MODELS.reference].map((model) => [
      model,
      { starts: between(random, 1, 4), periodMs: pick(random, [1_000, 10_000, 60_000]) },
    ]),
  );
  const clocksDifferMs = seed >= VARIED_FROM && chance(draws.of("clocks"), 0.5) ? CLOCKS_DIFFER_MS : 0;
  if (clocksDifferMs > 0) for (const quota of Object.values(quotas)) quota.periodMs = 60_000;
  const limits = limitsOf(clients, draws.of("spend limits"));
  const vars = {
    ...varsOf(clients, budgetMs, lateMs, quotas, random),
    ...webhooksOf(clients, draws.of("webhooks")),
    PRICES: JSON.stringify(PRICES),
    CLIENT_BUDGETS: JSON.stringify(
      Object.fromEntries(Object.entries(limits).map(([client, monthly]) => [client, { monthly }])),
    ),
  };
  const drawnCount = between(random, 3, 14);
  const count = seed >= BUSY_FROM ? between(draws.of("jobs"), 15, 60) : drawnCount;
  const withinMs = spread(random, 1_000, 240_000);
  const models = chance(random, 0.5) ? [pick(random, MODELS.text)] : MODELS.text;
  const isOperated = seed >= OPERATED_FROM;
  const jobs = Array.from({ length: count }, (_none, index) => {
    const name = `job ${index + 1}`;
    const drawn = jobOf(draws.of(name), name, clients, models, withinMs);
    const job: JobPlan = { ...drawn, ...compatibleOf(draws.of(`${name} door`), drawn, seed) };
    return isOperated ? { ...job, acts: [...job.acts, ...moreActsOf(draws.of(`${name} more acts`), name)] } : job;
  });
  const isKept = ({ name }: { readonly name: string }) => !leftOut.has(name);
  const feeds = clients
    .filter(() => chance(random, 0.4))
    .map((client) => ({ name: `feed of ${client}`, client, atMs: between(random, 0, 60_000) }));
  const lists = clients
    .filter(() => chance(random, 0.4))
    .map((client) => ({ name: `list of ${client}`, client, atMs: between(random, 0, 120_000) }));
  const quietAtMs = withinMs + between(random, 60_000, 600_000);
  const deploys = Array.from({ length: pick(random, [0, 0, 1, 2]) }, (_none, index) =>
    deployOf(draws.of(`deploy ${index + 1}`), `deploy ${index + 1}`, vars, quietAtMs, budgetMs, quotas),
  );
  return {
    clients,
    jobs: jobs
      .filter(isKept)
      .map((job) => ({ ...job, followers: job.followers.filter(isKept), acts: job.acts.filter(isKept) })),
    feeds: feeds.filter(isKept),
    lists: lists.filter(isKept),
    deploys: deploys.filter(isKept),
    outages: outagesOf(draws.of("outages"), quietAtMs).filter(isKept),
    operations: isOperated ? operationsOf(draws.of("operations"), clients, quietAtMs).filter(isKept) : [],
    taskSlots: between(draws.of("task slots"), 1, 5),
    vars,
    budgetMs,
    lateMs,
    quotas,
    limits,
    quietAtMs,
    clocksDifferMs,
    wallMs: chance(random, 0.3) ? 30_000 : null,
  };
}

function outagesOf(random: Random, quietAtMs: number): OutagePlan[] {
  return Array.from({ length: pick(random, [0, 0, 0, 1, 2]) }, (_none, index) => ({
    name: `outage ${index + 1}`,
    what: pick(random, ["LANES", "CATALOGS", "JOBS", "bucket", "bucket", "upstream"] as const),
    atMs: between(random, 0, quietAtMs),
    forMs: spread(random, 1_000, 90_000),
  }));
}

function operationsOf(random: Random, clients: readonly string[], quietAtMs: number): OperationPlan[] {
  const lanes = [...MODELS.text, ...MODELS.reference].map((target) => ({ target, isLane: true }));
  const left = [...lanes, ...clients.map((target) => ({ target, isLane: false }))];
  return Array.from({ length: pick(random, [0, 1, 2, 3]) }, (_none, index) => {
    const [{ target, isLane }] = left.splice(between(random, 0, left.length - 1), 1) as [(typeof left)[number]];
    return {
      name: `operation ${index + 1}`,
      what: !isLane ? "pause client" : chance(random, 0.7) ? "pause lane" : "limit lane",
      target,
      atMs: between(random, 0, quietAtMs),
      forMs: spread(random, 1_000, 240_000),
      endsItself: chance(random, 0.3),
    } as const;
  });
}

/** What differs for a job that is submitted through a compatible API. */
function compatibleOf(random: Random, { model }: JobPlan, seed: number): Partial<JobPlan> {
  const isEdit = model.includes("edit");
  if (seed < COMPATIBLE_FROM || (seed < VARIED_FROM && isEdit) || !chance(random, 0.5)) return {};
  if (seed < VARIED_FROM) return { style: "openai" };
  const style = pick(random, ["openai", "openai", "dashscope", "dashscope task"] as const);
  // The OpenAI API's edits have their image as a file.
  const backoff = seed >= BUSY_FROM ? 1.5 : 1;
  return { style, leastPatienceMs: 200, backoff, ...(style === "openai" && isEdit ? { withUpload: true } : {}) };
}

function moreActsOf(random: Random, name: string): Act[] {
  return Array.from({ length: pick(random, [0, 0, 1, 2]) }, (_none, index) => ({
    name: `${name} more ${index + 1}`,
    what: pick(random, ["annotate", "retry twice", "bulk cancel", "bulk retry", "bulk delete"] as const),
    afterMs: spread(random, 10, 300_000),
  }));
}

function varsOf(
  clients: readonly string[],
  budgetMs: number,
  lateMs: number,
  quotas: Plan["quotas"],
  random: Random,
): Vars {
  const hashOf = (client: string) => createHash("sha256").update(tokenOf(client)).digest("hex");
  return {
    QWEN_API_KEY: "sk-simulated",
    QWEN_BASE_URL: "https://upstream.example",
    QWEN_TIMEOUT_MS: String(budgetMs),
    LATE_ANSWER_MS: String(lateMs === budgetMs ? 0 : lateMs),
    MAX_ATTEMPTS: String(pick(random, [1, 2, 4])),
    MAX_PENDING_JOBS: String(pick(random, [4, 200, 200])),
    RETENTION_DAYS: "1",
    CLIENT_TOKENS: JSON.stringify(Object.fromEntries(clients.map((client) => [client, hashOf(client)]))),
    ADMIN_TOKEN_SHA256: hashOf(OPERATOR),
    SIGNING_SECRET,
    LANE_LIMITS: JSON.stringify(Object.fromEntries(Object.entries(quotas).map(([model, quota]) => [model, quota]))),
  };
}

/** In a third of the worlds some clients have a webhook. */
function webhooksOf(clients: readonly string[], random: Random): Vars {
  if (!chance(random, 0.33)) return {};
  const chosen = clients.filter(() => chance(random, 0.7));
  const urls = chosen.map((client) => [client, `https://${RECEIVER_HOST}/${client}`]);
  return { CLIENT_WEBHOOKS: JSON.stringify(Object.fromEntries(urls)) };
}

/** In half of the worlds most clients have a spend limit, from one that a few images reach to one that is never reached. */
function limitsOf(clients: readonly string[], random: Random): Plan["limits"] {
  if (!chance(random, 0.5)) return {};
  const limited = clients.filter(() => chance(random, 0.8));
  return Object.fromEntries(limited.map((client) => [client, between(random, 10, 100) / 100]));
}

function jobOf(
  random: Random,
  name: string,
  clients: readonly string[],
  models: readonly string[],
  withinMs: number,
): JobPlan {
  const isReference = chance(random, 0.15);
  const model = isReference ? pick(random, MODELS.reference) : pick(random, models);
  const follow = (index: number) => ({
    name: `${name} follower ${index}`,
    style: pick(random, ["polls", "waits", "socket", "socket", "stream"] as const),
    afterMs: spread(random, 1, 60_000),
  });
  const act = (index: number) => ({
    name: `${name} act ${index}`,
    what: pick(random, ["cancel", "cancel", "retry", "delete", "fetch image", "read events"] as const),
    afterMs: spread(random, 10, 300_000),
  });
  return {
    name,
    client: pick(random, clients),
    atMs: between(random, 0, withinMs),
    style: pick(random, ["library", "library", "library", "twice", "bare", "waiting", "hangs up"] as const),
    model,
    withUpload: isReference && chance(random, 0.7),
    n: model === "wan2.6-t2i" || isReference ? between(random, 1, 2) : 1,
    priority: pick(random, ["normal", "normal", "high", "low"] as const),
    onUncertain: chance(random, 0.15) ? "fail" : "retry",
    leastPatienceMs: 2_000,
    backoff: 1,
    followers: Array.from({ length: pick(random, [0, 1, 1, 2]) }, (_none, index) => follow(index + 1)),
    acts: Array.from({ length: pick(random, [0, 0, 1, 2]) }, (_none, index) => act(index + 1)),
    deadlineSeconds: chance(random, 0.1) ? spread(random, 60, 900) : null,
  };
}

function deployOf(
  random: Random,
  name: string,
  vars: Vars,
  quietAtMs: number,
  budgetMs: number,
  quotas: Plan["quotas"],
): DeployPlan {
  const change = pick(random, ["nothing", "limits", "budget", "secret", "broken"] as const);
  const atMs = between(random, 1_000, quietAtMs);
  const takesMs = spread(random, 100, 180_000);
  switch (change) {
    case "limits": {
      const halved = Object.entries(quotas).map(([model, { starts, periodMs }]) => [
        model,
        { starts: Math.max(1, starts >> 1), periodMs },
      ]);
      const changed = { ...vars, LANE_LIMITS: JSON.stringify(Object.fromEntries(halved)) };
      return { name, atMs, takesMs, vars: changed, story: "the lanes' limits are halved" };
    }
    case "budget":
      return {
        name,
        atMs,
        takesMs,
        vars: { ...vars, QWEN_TIMEOUT_MS: String(Math.round(budgetMs / 2)) },
        story: "the budget of an attempt is halved",
      };
    case "secret":
      return {
        name,
        atMs,
        takesMs,
        vars: { ...vars, SIGNING_SECRET: "another secret of the simulation", SIGNING_SECRET_OLD: SIGNING_SECRET },
        story: "the signing secret is rotated",
      };
    case "broken":
      return { name, atMs, takesMs, vars: { ...vars, QWEN_API_KEY: "" }, story: "the key is missing" };
    default:
      return { name, atMs, takesMs, vars, story: "nothing but the code changes" };
  }
}
