import { z } from "zod";
import { WORKFLOWS, type Workflow } from "../schemas/paths.ts";
import type { FieldError } from "../schemas/problem.ts";
import { sha256Hex } from "./auth/tokens.ts";
import { ModelOverrides, ModelTable, QuotaOverride } from "./dashscope/models.ts";
import { REGION_HOSTS, type Region } from "./dashscope/wire.ts";
import { entryPlace, jsonSetting } from "./json-setting.ts";
import { fromMicros, toMicros } from "./spend/core/money.ts";
import { type Budget, listCurrency } from "./spend/prices.ts";
import { targetFault } from "./webhooks/core/delivery.ts";

/** Some tools print a hash in capitals, and a pasted one often has a space or a line's end around it. */
const tokenHash = z
  .string()
  .trim()
  .regex(/^[0-9a-f]{64}$/i, "must be a sha-256 in hex")
  .toLowerCase();

function wholeNumber(name: string, min: number, max: number, fallback: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message)
    .default(fallback)
    .meta({ id: name });
}

/** Plain http is for an upstream on this machine (the emulator); a key never travels in the clear. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Parts of the vendor's known addresses that `QWEN_BASE_URL` must not contain, and what is wrong with each. */
const UPSTREAM_PATH_FAULTS: readonly (readonly [RegExp, string])[] = [
  [
    /\/compatible-mode(\/|$)/i,
    "must not be the OpenAI-compatible address, which speaks another protocol: leave out /compatible-mode and what follows",
  ],
  [/\/api\/v1(\/|$)/i, "must end before /api/v1: leave it and what follows out"],
  [/\/(api|v1)\/?$/i, "must end before /api/v1"],
];

const upstreamUrl = z.string().transform((text, context) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    context.addIssue("must be an http(s) address that ends before /api/v1");
    return z.NEVER;
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    context.addIssue("must be https unless the host is this machine");
    return z.NEVER;
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    context.addIssue("must not hold credentials, a query or a fragment");
    return z.NEVER;
  }
  const fault = UPSTREAM_PATH_FAULTS.find(([pattern]) => pattern.test(url.pathname));
  if (fault !== undefined) {
    context.addIssue(fault[1]);
    return z.NEVER;
  }
  return url.href.replace(/\/+$/, "");
});

/** The names of the built-in models are no secret, so an error may show which of them it is about. */
const builtInModels = new ModelTable();
const isBuiltIn = (name: string) => builtInModels.facts(name) !== null;

const modelOverrides = jsonSetting(
  ModelOverrides,
  '{"qwen-image-3.1":{"like":"qwen-image-3.0-pro","maxN":4}}',
  isBuiltIn,
);

const laneLimits = jsonSetting(
  z.record(z.string(), QuotaOverride),
  '{"qwen-image-max":{"starts":2,"periodMs":60000,"inProgress":null}}',
  isBuiltIn,
);

/** The variable that holds the default model of a workflow. */
const DEFAULT_MODELS = {
  "image-from-text": "QWEN_IMAGE_MODEL",
  "image-from-reference": "QWEN_IMAGE_EDIT_MODEL",
} as const satisfies Record<Workflow, string>;

/** What is wrong with the models that variables name; judged by the table that `MODELS` makes. */
function modelErrors(vars: Pick<z.output<typeof Vars>, ModelVariable>, table: ModelTable): FieldError[] {
  const errors: FieldError[] = [];
  for (const workflow of WORKFLOWS) {
    const path = DEFAULT_MODELS[workflow];
    const facts = table.facts(vars[path]);
    if (facts?.workflows.includes(workflow)) continue;
    const what = facts === null ? "names no known model" : "names a model of another workflow";
    errors.push({ path, message: `${what}; ${workflow} is done by ${table.doing(workflow).join(", ")}` });
  }
  for (const path of ["LANE_LIMITS", "PRICES"] as const) {
    for (const name of Object.keys(vars[path]).filter((name) => table.facts(name) === null)) {
      const place = entryPlace(vars[path], name, isBuiltIn);
      const known = `known are ${table.names.join(", ")}, and MODELS adds others`;
      errors.push({ path, message: `${place}: names an unknown model; ${known}` });
    }
  }
  return errors;
}

type ModelVariable = (typeof DEFAULT_MODELS)[Workflow] | "LANE_LIMITS" | "PRICES";

/** The origin that `text` is, without a path; null when it is none. */
function originOf(text: string): string | null {
  const url = URL.parse(text);
  return url === null || url.origin === "null" || url.origin !== text.replace(/\/$/, "") ? null : url.origin;
}

const publicOrigin = z.string().transform((text, context) => {
  const origin = originOf(text.trim());
  if (origin !== null && (origin.startsWith("https:") || isLoopback(new URL(origin).hostname))) return origin;
  context.addIssue("must be one https origin like https://images.example.com (http only for this machine)");
  return z.NEVER;
});

const origins = z.string().transform((text, context) => {
  const found: string[] = [];
  const parts = text.split(",").map((part) => part.trim());
  for (const part of parts.filter((part) => part !== "")) {
    const origin = originOf(part);
    if (origin === null) {
      context.addIssue("must be origins like https://app.example.com, parted by commas");
      return z.NEVER;
    }
    found.push(origin);
  }
  return found;
});

/** The form of a client's name, for example in `CLIENT_TOKENS` and in `?client=`. */
export const CLIENT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const CLIENT_TOKENS_EXAMPLE = '{"client-name":"<sha-256 hex of its token>"}';

const clientTokens = jsonSetting(
  z.record(
    z.string().regex(CLIENT_NAME, "a client's name is 1 to 64 letters, digits, dots, dashes or underscores"),
    z.union([tokenHash, z.array(tokenHash).min(1).max(2)], "must be a sha-256 in hex, or a list of two at most"),
  ),
  CLIENT_TOKENS_EXAMPLE,
);

/** The client whose token a plain text in `CLIENT_TOKENS` is. */
export const FIRST_CLIENT = "app";

/**
 * What `Authorization: Bearer` can carry (RFC 6750), from 16 characters. 64 hex digits in lower case are not taken for one: they are a hash
 * that lost its client's name.
 */
const PLAIN_TOKEN = /^(?![0-9a-f]{64}$)[A-Za-z0-9._~+/-]{16,512}={0,2}$/;

/** Whether the value of `CLIENT_TOKENS` is a plain token. Spaces and line ends around it are ignored. */
export function isPlainToken(value: unknown): boolean {
  return typeof value === "string" && PLAIN_TOKEN.test(value.trim());
}

/** Money is counted in millionths. A smaller part would be rounded away, and a limit with it. */
const amount = (max: number) =>
  z
    .number()
    .min(0)
    .max(max)
    .refine((value) => fromMicros(toMicros(value)) === value, "must have at most 6 decimals");

const prices = jsonSetting(
  z.record(z.string().min(1).max(100), amount(1_000_000)),
  '{"qwen-image-max":0.075}',
  isBuiltIn,
);

const budgets = jsonSetting(
  z.record(
    z.string().refine((name) => name === "*" || CLIENT_NAME.test(name), "must be a client's name, or * for the others"),
    z.strictObject({
      monthly: amount(1_000_000_000),
      alertAt: z.number().min(0).max(1).default(0.8),
    }),
  ),
  '{"my-app":{"monthly":50,"alertAt":0.8},"*":{"monthly":10}}',
);

/** A first deployment may put a plain token here instead of JSON: that of `FIRST_CLIENT`. Only its hash gets into the settings. */
const firstClientTokens = z
  .string()
  .transform((text, context) => {
    if (isPlainToken(text)) return JSON.stringify({ [FIRST_CLIENT]: sha256Hex(text.trim()) });
    if (/^\s*[{["]/.test(text)) return text;
    const isHash = /^[0-9a-f]{64}$/i.test(text.trim());
    const token = "a plain token: 16 to 512 letters, digits and -._~+/ without spaces";
    const fault = isHash ? ": this is a hash without its client's name" : `, or ${token}`;
    context.addIssue(`must be JSON like ${CLIENT_TOKENS_EXAMPLE}${fault}`);
    return z.NEVER;
  })
  .pipe(clientTokens);

const clientWebhooks = jsonSetting(
  z.record(
    z.string().regex(CLIENT_NAME, "a client's name is 1 to 64 letters, digits, dots, dashes or underscores"),
    z.string(),
  ),
  '{"client-name":"https://example.com/darkroom"}',
);

/** What is wrong with the addresses of `CLIENT_WEBHOOKS`, which may hold a secret and are not repeated. */
function webhookErrors({ CLIENT_WEBHOOKS, AUTH_MODE, PUBLIC_ORIGIN }: Vars): FieldError[] {
  const rules = { ownOrigins: PUBLIC_ORIGIN === undefined ? [] : [PUBLIC_ORIGIN], allowLoopback: AUTH_MODE === "open" };
  return Object.values(CLIENT_WEBHOOKS).flatMap((url, index) => {
    const fault = targetFault(url, rules);
    return fault === null ? [] : [{ path: "CLIENT_WEBHOOKS", message: `entry ${index + 1}: ${fault}` }];
  });
}

export const PUBLIC_OPEN_MODE_PHRASE = "yes, anyone may spend my money";

/** Every variable of the Worker's env but the bindings. Vars arrive as strings; an empty one counts as absent. */
const Vars = z.object({
  QWEN_API_KEY: z
    .string("is not set: put it with `npx wrangler secret put QWEN_API_KEY`")
    .regex(/^[\x21-\x7e]+$/, "must be printable characters without spaces"),
  QWEN_REGION: z.enum(["sg", "bj", "us", "hk"], "must be sg, bj, us or hk").default("sg"),
  QWEN_BASE_URL: upstreamUrl.optional(),
  MODELS: modelOverrides.default({}),
  QWEN_IMAGE_MODEL: z.string().default("qwen-image-max"),
  QWEN_IMAGE_EDIT_MODEL: z.string().default("qwen-image-edit-max"),
  QWEN_TIMEOUT_MS: wholeNumber("QWEN_TIMEOUT_MS", 1000, 280_000, 45_000),
  LATE_ANSWER_MS: wholeNumber("LATE_ANSWER_MS", 0, 900_000, 300_000),
  MAX_ATTEMPTS: wholeNumber("MAX_ATTEMPTS", 1, 10, 4),
  JOB_DEADLINE_SECONDS: wholeNumber("JOB_DEADLINE_SECONDS", 10, 604_800, 86_400),
  RETENTION_DAYS: wholeNumber("RETENTION_DAYS", 1, 3650, 30),
  MAX_PENDING_JOBS: wholeNumber("MAX_PENDING_JOBS", 1, 1_000_000, 200),
  LANE_LIMITS: laneLimits.default({}),
  PRICES: prices.default({}),
  CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be a currency's code of three capital letters, like USD")
    .optional(),
  CLIENT_BUDGETS: budgets.default({}),
  AUTH_MODE: z.enum(["token", "open"], "must be token or open").default("token"),
  CLIENT_TOKENS: firstClientTokens.optional(),
  // A variable holds 5 KB at most, which is about 60 clients.
  CLIENT_TOKENS_2: clientTokens.optional(),
  CLIENT_TOKENS_3: clientTokens.optional(),
  CLIENT_TOKENS_4: clientTokens.optional(),
  CLIENT_TOKENS_5: clientTokens.optional(),
  CLIENT_TOKENS_6: clientTokens.optional(),
  CLIENT_TOKENS_7: clientTokens.optional(),
  CLIENT_TOKENS_8: clientTokens.optional(),
  CLIENT_TOKENS_9: clientTokens.optional(),
  ADMIN_TOKEN_SHA256: tokenHash.optional(),
  SIGNING_SECRET: z.string().min(16, "must have at least 16 characters").optional(),
  SIGNING_SECRET_OLD: z.string().min(16, "must have at least 16 characters").optional(),
  ALLOWED_ORIGINS: origins.default([]),
  PUBLIC_ORIGIN: publicOrigin.optional(),
  HIDDEN_HANG_UP_SECONDS: wholeNumber("HIDDEN_HANG_UP_SECONDS", 0, 300, 0),
  IMAGE_LINK_HOURS: wholeNumber("IMAGE_LINK_HOURS", 1, 720, 24),
  CLIENT_WEBHOOKS: clientWebhooks.default({}),
  ALLOW_PUBLIC_OPEN_MODE: z
    .literal(PUBLIC_OPEN_MODE_PHRASE, `must be "${PUBLIC_OPEN_MODE_PHRASE}", or not be set`)
    .optional(),
});

type Vars = z.output<typeof Vars>;

/** The name of every variable that the Worker reads. */
export const VARIABLES: readonly string[] = Object.keys(Vars.shape);

const CLIENT_TOKEN_VARIABLES = (Object.keys(Vars.shape) as (keyof Vars)[]).filter((name) =>
  /^CLIENT_TOKENS(_\d)?$/.test(name),
) as ("CLIENT_TOKENS" | `CLIENT_TOKENS_${2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`)[];

/** The error of the later of two clients. */
const SHARED_TOKEN =
  "has the token of another client, so nobody could say whose call it is: give each client a token of its own with `npm run token -- NAME`, or take one of the two out";

type ClientTokens = Readonly<Record<string, readonly string[]>>;

/**
 * The clients of all `CLIENT_TOKENS…` variables. A client that two of them name, and a token that two clients have, is an error of
 * the later one: nobody could say whose call it is.
 */
function allClientTokens(vars: Vars): { readonly tokens: ClientTokens; readonly errors: readonly FieldError[] } {
  const tokens: Record<string, readonly string[]> = {};
  const errors: FieldError[] = [];
  const variableOf = new Map<string, string>();
  const ownerOf = new Map<string, string>();
  for (const variable of CLIENT_TOKEN_VARIABLES) {
    for (const [entry, [client, hash]] of Object.entries(vars[variable] ?? {}).entries()) {
      const first = variableOf.get(client);
      if (first !== undefined) {
        errors.push({ path: variable, message: `entry ${entry + 1}: names a client that ${first} names already` });
      }
      variableOf.set(client, variable);
      tokens[client] = typeof hash === "string" ? [hash] : hash;
      for (const each of tokens[client]) {
        if ((ownerOf.get(each) ?? client) !== client) {
          errors.push({ path: variable, message: `entry ${entry + 1}: ${SHARED_TOKEN}` });
        }
        ownerOf.set(each, client);
      }
    }
  }
  if (vars.ADMIN_TOKEN_SHA256 !== undefined && ownerOf.has(vars.ADMIN_TOKEN_SHA256)) {
    errors.push({
      path: "ADMIN_TOKEN_SHA256",
      message: "is the hash of a client's token, too: the operator needs another",
    });
  }
  return { tokens, errors };
}

/** What token mode needs besides. Reported together with all other errors, so that a first deployment is corrected in one go. */
const TOKEN_MODE_NEEDS = {
  CLIENT_TOKENS: "is not set, and AUTH_MODE=token needs it: `npm run token -- NAME` makes one",
  SIGNING_SECRET: "is not set, and AUTH_MODE=token needs it: e.g. from `openssl rand -base64 32`",
} as const;

/** The Worker's settings, checked. Holds secrets: never log it, never store it. */
export interface Config {
  readonly apiKey: string;
  readonly region: Region;
  /** Ends before `/api/v1`. */
  readonly baseUrl: string;
  /** Of `baseUrl`, with its port where it names one. */
  readonly upstreamHost: string;
  readonly modelTable: ModelTable;
  /** The default model of each workflow. */
  readonly models: { readonly "image-from-text": string; readonly "image-from-reference": string };
  readonly attemptBudgetMs: number;
  /** From an attempt's start: how long its call may still deliver. Never below the budget; 0 (hang up) becomes the budget. */
  readonly lateAnswerMs: number;
  readonly maxAttempts: number;
  readonly jobDeadlineSeconds: number;
  readonly retentionMs: number;
  readonly maxPendingJobs: number;
  readonly laneLimits: Readonly<Record<string, QuotaOverride>>;
  /** One for the whole deployment: an ISO 4217 code. */
  readonly currency: string;
  /** Model → price per image in `currency`; wins over the model table. */
  readonly prices: Readonly<Record<string, number>>;
  /** Client, or `*` → its limit for a calendar month. */
  readonly budgets: Readonly<Record<string, Budget>>;
  readonly authMode: "token" | "open";
  /** Client name → sha-256 hex of its tokens, two at most while one is rotated. */
  readonly clientTokens: ClientTokens;
  readonly adminTokenSha256: string | null;
  readonly signingSecrets: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Links start with it; null: with the origin of the request. */
  readonly publicOrigin: string | null;
  /** A signed link to an image lives at least this long, and at most twice as long. */
  readonly imageLinkMs: number;
  /** After how long the client of a waiting request may have hung up unseen, in ms; null: each hang-up reaches the Worker. */
  readonly hiddenHangUpMs: number | null;
  /** Client → where the ends of its jobs are sent when a submission names no webhook. */
  readonly clientWebhooks: Readonly<Record<string, string>>;
  /** Set to `yes, anyone may spend my money` to serve open mode on a public host name. */
  readonly publicOpenModeAllowed: boolean;
}

/** `errors` name the variable and what is wrong with it, never its value. */
export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly errors: readonly FieldError[] };

type StringEnv = Readonly<Record<string, unknown>>;

/** Reads the env. Pure: the same env gives the same answer. */
export function readConfig(env: StringEnv): ConfigResult {
  const given: Record<string, unknown> = {};
  for (const name of VARIABLES) {
    const value = env[name];
    if (value !== undefined && value !== "") given[name] = value;
  }
  const parsed = Vars.safeParse(given);
  const errors: FieldError[] = [];
  for (const issue of parsed.error?.issues ?? []) errors.push({ path: String(issue.path[0]), message: issue.message });
  if ((given.AUTH_MODE ?? "token") === "token") {
    for (const [path, message] of Object.entries(TOKEN_MODE_NEEDS)) {
      const names = path === "CLIENT_TOKENS" ? CLIENT_TOKEN_VARIABLES : [path];
      if (names.every((name) => given[name] === undefined)) errors.push({ path, message });
    }
  }
  if (!parsed.success) return { ok: false, errors };
  const vars = parsed.data;
  const modelTable = new ModelTable(vars.MODELS);
  errors.push(...modelErrors(vars, modelTable), ...webhookErrors(vars));
  const clients = allClientTokens(vars);
  errors.push(...clients.errors);
  if (errors.length > 0) return { ok: false, errors };
  const baseUrl = vars.QWEN_BASE_URL ?? REGION_HOSTS[vars.QWEN_REGION];
  return {
    ok: true,
    config: {
      apiKey: vars.QWEN_API_KEY,
      region: vars.QWEN_REGION,
      baseUrl,
      upstreamHost: new URL(baseUrl).host,
      modelTable,
      models: { "image-from-text": vars.QWEN_IMAGE_MODEL, "image-from-reference": vars.QWEN_IMAGE_EDIT_MODEL },
      attemptBudgetMs: vars.QWEN_TIMEOUT_MS,
      lateAnswerMs: Math.max(vars.LATE_ANSWER_MS, vars.QWEN_TIMEOUT_MS),
      maxAttempts: vars.MAX_ATTEMPTS,
      jobDeadlineSeconds: vars.JOB_DEADLINE_SECONDS,
      retentionMs: vars.RETENTION_DAYS * 86_400_000,
      maxPendingJobs: vars.MAX_PENDING_JOBS,
      laneLimits: vars.LANE_LIMITS,
      currency: vars.CURRENCY ?? listCurrency(vars.QWEN_REGION),
      prices: vars.PRICES,
      budgets: vars.CLIENT_BUDGETS,
      authMode: vars.AUTH_MODE,
      clientTokens: clients.tokens,
      adminTokenSha256: vars.ADMIN_TOKEN_SHA256 ?? null,
      signingSecrets: [vars.SIGNING_SECRET, vars.SIGNING_SECRET_OLD].filter((secret) => secret !== undefined),
      allowedOrigins: vars.ALLOWED_ORIGINS,
      publicOrigin: vars.PUBLIC_ORIGIN ?? null,
      hiddenHangUpMs: vars.HIDDEN_HANG_UP_SECONDS === 0 ? null : vars.HIDDEN_HANG_UP_SECONDS * 1000,
      imageLinkMs: vars.IMAGE_LINK_HOURS * 3_600_000,
      clientWebhooks: vars.CLIENT_WEBHOOKS,
      publicOpenModeAllowed: vars.ALLOW_PUBLIC_OPEN_MODE !== undefined,
    },
  };
}

const read = new WeakMap<object, ConfigResult>();

/** `readConfig`, done once for each env object. */
export function configOf(env: object): ConfigResult {
  const known = read.get(env);
  if (known !== undefined) return known;
  const result = readConfig({ ...env });
  read.set(env, result);
  return result;
}

/** What signed links depend on. While the Worker is misconfigured links are plain, and open nothing in token mode. */
export type LinkSettings = Pick<Config, "signingSecrets" | "imageLinkMs">;

export function linkSettingsOf(env: object): LinkSettings {
  const result = configOf(env);
  if (!result.ok) return { signingSecrets: [], imageLinkMs: 24 * 3_600_000 };
  const { signingSecrets, imageLinkMs } = result.config;
  return { signingSecrets, imageLinkMs };
}
