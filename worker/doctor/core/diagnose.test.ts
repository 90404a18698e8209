import { describe, expect, it } from "vitest";
import type { LaneReport } from "../../../schemas/limits.ts";
import type { KeyAnswer } from "../../dashscope/contract.ts";
import { readConfig, VARIABLES } from "../../env.ts";
import { type ConfiguredFacts, diagnose, type Observations } from "./diagnose.ts";

const NOW_MS = Date.parse("2026-11-28T09:00:00Z");

const facts: ConfiguredFacts = {
  variables: 4,
  authMode: "token",
  clients: ["my-app"],
  hasOperator: true,
  hasPlainToken: false,
  region: "sg",
  regionName: "Singapore",
  upstreamHost: "dashscope-intl.aliyuncs.com",
  hasOwnBaseUrl: false,
  limited: [],
  unpriced: [],
  hostRegion: null,
  notOffered: [],
  attemptBudgetMs: 45_000,
  jobDeadlineMs: 86_400_000,
  allowedOrigins: [],
  webhooks: [],
  askedOrigin: "https://images.example.com",
  publicOrigin: null,
  unread: [],
};

function answered(httpStatus: number, code: string | null = null, message: string | null = null): KeyAnswer {
  const accepted = httpStatus === 401 ? false : httpStatus === 200 ? true : null;
  return { kind: "answered", accepted, httpStatus, code, message, tookMs: 80, dateMs: NOW_MS };
}

const REFUSED = answered(401, "InvalidApiKey", "Invalid API-key provided.");

const lane: LaneReport = {
  model: "qwen-image-max",
  quota: { starts: 2, periodMs: 60_000, inProgress: null },
  pace: 1,
  startsPerMinute: 2,
  mode: "open",
  queued: 3,
  inProgress: 1,
  nextStartAt: null,
  typicalDurationMs: null,
  blocked: null,
};

const found: NonNullable<Observations["found"]> = {
  storage: { ok: true, tookMs: 12 },
  objects: {
    job: { ok: true, tookMs: 3 },
    lane: { ok: true, tookMs: 4 },
    list: { ok: true, tookMs: 5 },
    log: { ok: true, tookMs: 5 },
  },
  publicOrigin: { kind: "this service" },
  key: answered(200),
  elsewhere: [],
  lanes: [lane],
};

const checked = (changes: Partial<typeof found>, changedFacts: Partial<ConfiguredFacts> = {}) =>
  diagnose({
    nowMs: NOW_MS,
    config: { ok: true, facts: { ...facts, ...changedFacts } },
    found: { ...found, ...changes },
  });

const failing = (checks: ReturnType<typeof diagnose>) => checks.filter(({ ok }) => ok === false);

describe("a deployment that works", () => {
  it("passes every check, each with what was seen and without a fix", () => {
    const checks = checked({});
    expect(checks.map(({ name }) => name)).toEqual([
      "variables",
      "tokens",
      "links",
      "origins",
      "storage",
      "objects",
      "clock",
      "upstream",
      "key",
      "lane qwen-image-max",
    ]);
    for (const { ok, seen, fix } of checks) expect([ok, seen !== "", fix]).toEqual([true, true, null]);
  });
});

/** The rows of the README's table of what does not work, and faults that cost the first users an evening. */
describe("what goes wrong in a first deployment", () => {
  it("is named: a key of another region, and the region it belongs to", () => {
    const [check, ...others] = failing(
      checked({
        key: REFUSED,
        elsewhere: [
          { region: "bj", name: "Beijing", answer: answered(200) },
          { region: "us", name: "US (Virginia)", answer: REFUSED },
        ],
      }),
    );
    expect(others).toEqual([]);
    expect(check?.name).toBe("key");
    expect(check?.seen).toBe(
      "refused by dashscope-intl.aliyuncs.com: 401 InvalidApiKey: Invalid API-key provided. Beijing (bj) accepts it",
    );
    expect(check?.fix).toContain('set QWEN_REGION="bj"');
  });

  it("is named: a key that no region accepts, and the regions that were asked", () => {
    const [check] = failing(
      checked({
        key: REFUSED,
        elsewhere: [
          { region: "bj", name: "Beijing", answer: REFUSED },
          { region: "us", name: "US (Virginia)", answer: { kind: "silent", reason: "no answer in time" } },
        ],
      }),
    );
    expect(check?.seen).toMatch(/Refused too by bj; not reached: us$/);
    expect(check?.fix).toMatch(/^Make a key in the Model Studio console of Singapore/);
  });

  it("is named: a key in the shell that is not on the Worker", () => {
    const errors = [
      { path: "QWEN_API_KEY", message: "is not set: put it with `npx wrangler secret put QWEN_API_KEY`" },
    ];
    const [check, ...others] = diagnose({ nowMs: NOW_MS, config: { ok: false, errors }, found: null });
    expect(others).toEqual([]);
    expect(check).toMatchObject({ name: "variables", ok: false });
    expect(check?.fix).toMatch(/npx wrangler secret put QWEN_API_KEY.*in your shell says nothing/);
  });

  it("is named: a spend limit together with a default model without a price", () => {
    const limited = { limited: ["my-app", "*"], unpriced: ["qwen-image-3.0-pro"] };
    const [check, ...others] = failing(checked({}, limited));
    expect(others).toEqual([]);
    expect(check?.name).toBe("spend limits");
    expect(check?.seen).toContain("my-app, every other client: refused with 402");
    expect(check?.fix).toContain("PRICES='{\"qwen-image-3.0-pro\":0.075}'");
    expect(failing(checked({}, { limited: ["my-app"] }))).toEqual([]);
  });

  it("is shown: a spend limit of a client that has no token", () => {
    const checks = checked({}, { limited: ["my-ap"] });
    expect(checks.find(({ ok }) => ok === null)?.seen).toContain("CLIENT_BUDGETS names my-ap, which has no token");
    expect(checked({}, { limited: ["my-ap"], authMode: "open" }).every(({ ok }) => ok === true)).toBe(true);
  });

  it("is named: each wrong variable by itself, and whether it is a secret", () => {
    const errors = [
      { path: "QWEN_REGION", message: "must be sg, bj, us or hk" },
      { path: "SIGNING_SECRET", message: "must have at least 16 characters" },
    ];
    const checks = diagnose({ nowMs: NOW_MS, config: { ok: false, errors }, found: null });
    expect(checks.map(({ seen }) => seen)).toEqual([
      "QWEN_REGION must be sg, bj, us or hk",
      "SIGNING_SECRET must have at least 16 characters",
    ]);
    expect(checks[0]?.fix).toContain("[vars]");
    expect(checks[1]?.fix).toContain("wrangler secret put SIGNING_SECRET");
  });

  it.each([
    ["AccessDenied.Unpurchased", "The account is not entitled to this model: switch it on in the console"],
    ["Arrearage", "The account has to be paid"],
    ["AllocationQuota.FreeTierOnly", "The free quota is used up"],
  ])("is named: a lane that %s blocks, with upstream's code and the hint", (code, hint) => {
    const blocked = { code, hint, since: "2026-11-28T08:00:00Z", nextProbeAt: "2026-11-28T09:01:00Z" };
    const [check] = failing(checked({ lanes: [{ ...lane, blocked }] }));
    expect(check?.seen).toBe(`blocked by ${code} since 2026-11-28T08:00:00Z; 3 waiting, 1 running`);
    expect(check?.fix).toBe(`${hint}. No job is lost meanwhile; the next try is at 2026-11-28T09:01:00Z.`);
  });

  it("is shown, and fails nothing: a lane that the operator has paused", () => {
    const paused = { reason: "moving", since: "2026-11-28T08:00:00Z", until: null };
    const checks = checked({ lanes: [{ ...lane, paused }] });
    expect(failing(checks)).toEqual([]);
    expect(checks.at(-1)?.seen).toBe(
      "3 waiting, 1 running; paused by the operator since 2026-11-28T08:00:00Z, until it is resumed: moving",
    );
  });

  it("is shown, and fails nothing: a deployment without a client's token, which may be called only over bindings", () => {
    const checks = checked({}, { clients: [], hasOperator: false });
    expect(failing(checks)).toEqual([]);
    const check = checks.find(({ name }) => name === "tokens");
    expect(check?.ok).toBe(null);
    expect(check?.seen).toMatch(
      /every call over HTTP is answered 401\. Right only where all apps call over a service binding/,
    );
    expect(check?.fix).toContain("npm run token -- NAME");
  });

  it("says whether CLIENT_TOKENS holds hashes or a plain token", () => {
    const seen = (hasPlainToken: boolean) =>
      checked({}, { hasPlainToken }).find(({ name }) => name === "tokens")?.seen ?? "";
    expect(seen(false)).toContain("CLIENT_TOKENS holds their hashes");
    expect(seen(true)).toContain("CLIENT_TOKENS holds the token itself");
    expect(seen(true)).not.toContain("holds their hashes");
  });
});

/** A wrong value of each variable, with the variables that make it wrong. */
const BROKEN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  QWEN_API_KEY: { QWEN_API_KEY: "sk with spaces" },
  QWEN_REGION: { QWEN_REGION: "eu" },
  QWEN_BASE_URL: { QWEN_BASE_URL: "https://dashscope.aliyuncs.com/compatible-mode/v1" },
  MODELS: { MODELS: '{"new":{}}' },
  QWEN_IMAGE_MODEL: { QWEN_IMAGE_MODEL: "no-such-model" },
  QWEN_IMAGE_EDIT_MODEL: { QWEN_IMAGE_EDIT_MODEL: "qwen-image-max" },
  QWEN_TIMEOUT_MS: { QWEN_TIMEOUT_MS: "45s" },
  LATE_ANSWER_MS: { LATE_ANSWER_MS: "-1" },
  MAX_ATTEMPTS: { MAX_ATTEMPTS: "0" },
  JOB_DEADLINE_SECONDS: { JOB_DEADLINE_SECONDS: "1" },
  RETENTION_DAYS: { RETENTION_DAYS: "0" },
  MAX_PENDING_JOBS: { MAX_PENDING_JOBS: "many" },
  LANE_LIMITS: { LANE_LIMITS: '{"qwen-image-max":{"starts":0}}' },
  PRICES: { PRICES: '{"no-such-model":1}' },
  CURRENCY: { CURRENCY: "dollars" },
  CLIENT_BUDGETS: { CLIENT_BUDGETS: '{"my-app":50}' },
  AUTH_MODE: { AUTH_MODE: "none" },
  CLIENT_TOKENS: { CLIENT_TOKENS: "my-app=token" },
  ...Object.fromEntries(
    [2, 3, 4, 5, 6, 7, 8, 9].map((number) => [`CLIENT_TOKENS_${number}`, { [`CLIENT_TOKENS_${number}`]: "[]" }]),
  ),
  ADMIN_TOKEN_SHA256: { ADMIN_TOKEN_SHA256: "the token itself" },
  SIGNING_SECRET: { SIGNING_SECRET: "short" },
  SIGNING_SECRET_OLD: { SIGNING_SECRET_OLD: "short" },
  ALLOWED_ORIGINS: { ALLOWED_ORIGINS: "app.example.com" },
  PUBLIC_ORIGIN: { PUBLIC_ORIGIN: "images.example.com" },
  IMAGE_LINK_HOURS: { IMAGE_LINK_HOURS: "0" },
  HIDDEN_HANG_UP_SECONDS: { HIDDEN_HANG_UP_SECONDS: "soon" },
  CLIENT_WEBHOOKS: { CLIENT_WEBHOOKS: '{"my-app":"http://example.com/"}' },
  ALLOW_PUBLIC_OPEN_MODE: { ALLOW_PUBLIC_OPEN_MODE: "yes" },
};

describe("each broken setting", () => {
  it("is in the table", () => {
    expect(Object.keys(BROKEN).toSorted()).toEqual([...VARIABLES].toSorted());
  });

  it.each(Object.keys(BROKEN))("is named, with what to do: %s", (name) => {
    const good = {
      QWEN_API_KEY: "sk-test",
      SIGNING_SECRET: "a secret of many characters",
      CLIENT_TOKENS: JSON.stringify({ "my-app": "0".repeat(64) }),
    };
    expect(readConfig(good).ok).toBe(true);
    const config = readConfig({ ...good, ...BROKEN[name] });
    if (config.ok) throw new Error(`${name} was taken`);
    const checks = diagnose({ nowMs: NOW_MS, config, found: null });
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual([["variables", false]]);
    expect(checks[0]?.seen).toMatch(new RegExp(`^${name} \\S`));
    expect(checks[0]?.fix).toContain(name);
    expect(checks[0]?.fix).toMatch(/wrangler\.toml|wrangler secret put/);
  });

  it.each<[string, Partial<ConfiguredFacts>, Partial<typeof found>, RegExp, RegExp]>([
    [
      "region",
      { hostRegion: "bj", upstreamHost: "dashscope.aliyuncs.com", hasOwnBaseUrl: true },
      {},
      /^QWEN_BASE_URL names dashscope.aliyuncs.com, the host of bj, and QWEN_REGION is sg/,
      /QWEN_REGION="bj"/,
    ],
    [
      "deadline",
      { jobDeadlineMs: 10_000 },
      {},
      /^JOB_DEADLINE_SECONDS ends a job after 10 s, and QWEN_TIMEOUT_MS gives one attempt 45 s$/,
      /JOB_DEADLINE_SECONDS/,
    ],
    [
      "links",
      { publicOrigin: "https://old.example.com" },
      { publicOrigin: { kind: "wrong", seen: "it answers 404, not as this service does" } },
      /^PUBLIC_ORIGIN is https:\/\/old.example.com: it answers 404/,
      /PUBLIC_ORIGIN .* like https:\/\/images.example.com/,
    ],
    [
      "webhooks",
      { webhooks: [{ client: "my-app", fault: "must not be an address of this service" }] },
      {},
      /^CLIENT_WEBHOOKS entry 1 \(my-app\) must not be an address of this service/,
      /the client's own receiver/,
    ],
  ])("is named where it contradicts other settings or the facts: %s", (name, changedFacts, changed, seen, fix) => {
    const [check, ...others] = failing(checked(changed, changedFacts));
    expect([check?.name, others]).toEqual([name, []]);
    expect(check?.seen).toMatch(seen);
    expect(check?.fix).toMatch(fix);
  });

  it("is shown where it may be intended: a model of another region, a name that no setting has, a webhook of an unknown client", () => {
    const shown = checked(
      {},
      {
        notOffered: ["wan2.6-t2i"],
        unread: ["QWEN_REGON"],
        webhooks: [{ client: "my-ap", fault: null }],
      },
    ).filter(({ ok }) => ok === null);
    expect(shown.map(({ name, seen }) => `${name}: ${seen}`)).toEqual([
      expect.stringMatching(/^variables: QWEN_REGON: set, but no setting has this name/),
      expect.stringMatching(/^models: wan2.6-t2i: not offered in Singapore/),
      expect.stringMatching(/^webhooks: CLIENT_WEBHOOKS names my-ap, which has no token/),
    ]);
  });

  it("is shown when missing: the origins of other pages, and the origin of links", () => {
    const seen = (name: string) => checked({}).find((check) => check.name === name)?.seen;
    expect(seen("origins")).toMatch(/^ALLOWED_ORIGINS is not set/);
    expect(seen("links")).toMatch(/^PUBLIC_ORIGIN is not set: .* https:\/\/images.example.com/);
  });
});

describe("what else can be wrong", () => {
  it.each([
    [{ storage: { ok: false, reason: "no such bucket" } } as const, "storage", /no such bucket/, /r2 bucket list/],
    [
      { objects: { ...found.objects, lane: { ok: false, reason: "overloaded" } } } as const,
      "objects",
      /lane: overloaded/,
      /wrangler tail/,
    ],
  ])("%o", (changes, name, seen, fix) => {
    const [check, ...others] = failing(checked(changes));
    expect([check?.name, others]).toEqual([name, []]);
    expect(check?.seen).toMatch(seen);
    expect(check?.fix).toMatch(fix);
  });

  it.each([
    [-90, "90 s behind upstream's"],
    [90, "90 s ahead of upstream's"],
  ])("a clock that is %i s off", (seconds, seen) => {
    const key = { ...answered(200), dateMs: NOW_MS - seconds * 1000 };
    expect(failing(checked({ key })).map((check) => [check.name, check.seen])).toEqual([["clock", seen]]);
  });

  it.each([
    [{ kind: "silent", reason: "no answer in time" } as const, /was not reached: no answer in time/],
    [{ kind: "foreign", httpStatus: 404, looksLike: "a web page" } as const, /answers 404 with a web page/],
    [answered(503, "ServiceUnavailable"), /answers 503 ServiceUnavailable/],
  ])("a host that does not answer as upstream does leaves the key unjudged", (key, seen) => {
    const checks = checked({ key });
    expect(failing(checks).map(({ name }) => name)).toEqual(["upstream"]);
    expect(failing(checks)[0]?.seen).toMatch(seen);
    expect(checks.find(({ name }) => name === "key")).toMatchObject({ ok: null, fix: null });
  });

  it("a host that throttles says nothing about the key", () => {
    const checks = checked({ key: answered(429, "Throttling.RateQuota", "slow down") });
    expect(failing(checks)).toEqual([]);
    expect(checks.find(({ name }) => name === "key")).toMatchObject({
      ok: null,
      seen: "not judged: dashscope-intl.aliyuncs.com answers 429 Throttling.RateQuota: slow down",
    });
  });
});
