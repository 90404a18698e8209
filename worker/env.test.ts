import { describe, expect, it } from "vitest";
import { sha256Hex } from "./auth/tokens.ts";
import { readConfig } from "./env.ts";

const enough = { QWEN_API_KEY: "sk-test", AUTH_MODE: "open" };

function problemOf(env: Record<string, unknown>): { path: string; message: string } | undefined {
  const result = readConfig({ ...enough, ...env });
  return result.ok ? undefined : result.errors[0];
}

describe("readConfig", () => {
  it("refuses a default model that is unknown, naming the variable and what is known", () => {
    const problem = problemOf({ QWEN_IMAGE_MODEL: "dall-e" });
    expect(problem?.path).toBe("QWEN_IMAGE_MODEL");
    expect(problem?.message).toContain("qwen-image-max");
    expect(problem?.message).not.toContain("dall-e");
  });

  it("refuses a default model that does the other workflow only", () => {
    const problem = problemOf({ QWEN_IMAGE_EDIT_MODEL: "qwen-image-max" });
    expect(problem?.path).toBe("QWEN_IMAGE_EDIT_MODEL");
    expect(problem?.message).toContain("qwen-image-edit-max");
  });

  it("takes models that MODELS adds, as defaults and in lane limits", () => {
    const env = {
      MODELS: '{"qwen-image-3.1":{"like":"qwen-image-3.0-pro","maxN":4}}',
      QWEN_IMAGE_MODEL: "qwen-image-3.1",
      LANE_LIMITS: '{"qwen-image-3.1":{"starts":3}}',
    };
    const result = readConfig({ ...enough, ...env });
    expect(result.ok && result.config.modelTable.facts("qwen-image-3.1")).toMatchObject({ maxN: 4 });
  });

  it.each([
    ["no JSON", "qwen-image-3.1", "must be JSON like"],
    ["a new model that is like nothing", '{"qwen-image-3.1":{}}', 'entry 1: is a new model and needs "like"'],
    [
      "a model that is like an unknown one",
      '{"a":{"like":"qwen-image-max"},"b":{"like":"x"}}',
      "entry 2, like: names no known model",
    ],
    ["an unknown field", '{"qwen-image-max":{"sises":[]}}', "entry 1 (qwen-image-max): has an unknown field"],
  ])("names what is wrong with MODELS: %s", (_what, text, message) => {
    const problem = problemOf({ MODELS: text });
    expect(problem?.path).toBe("MODELS");
    expect(problem?.message).toContain(message);
  });

  it("refuses lane limits of an unknown model", () => {
    const problem = problemOf({ LANE_LIMITS: '{"qwen-image-max":{"starts":3},"qwen-image-mx":{"starts":3}}' });
    expect(problem?.path).toBe("LANE_LIMITS");
    expect(problem?.message).toMatch(/^entry 2: names an unknown model; known are .*qwen-image-max/);
  });

  it("takes lane limits of a known model, in part", () => {
    const result = readConfig({ ...enough, LANE_LIMITS: '{"qwen-image-max":{"starts":3}}' });
    expect(result).toMatchObject({ ok: true, config: { laneLimits: { "qwen-image-max": { starts: 3 } } } });
  });

  it.each([
    ["https://dashscope-intl.aliyuncs.com/compatible-mode/v1", /OpenAI-compatible/],
    ["https://dashscope.aliyuncs.com/compatible-mode", /OpenAI-compatible/],
    ["https://ws-1.cn-beijing.maas.aliyuncs.com/compatible-mode/v1/chat/completions", /OpenAI-compatible/],
    ["https://dashscope.aliyuncs.com/api/v1", /end before \/api\/v1/],
    ["https://dashscope.aliyuncs.com/api/v1/services/aigc", /end before \/api\/v1/],
    ["https://dashscope.aliyuncs.com/api/", /end before \/api\/v1/],
    ["https://dashscope.aliyuncs.com/v1", /end before \/api\/v1/],
  ])("refuses %s as an upstream that speaks another protocol or has too long a path", (QWEN_BASE_URL, message) => {
    expect(problemOf({ QWEN_BASE_URL })).toEqual({ path: "QWEN_BASE_URL", message: expect.stringMatching(message) });
  });

  it.each(["https://gateway.example/dashscope", "https://api.example", "https://v1.example/apis"])(
    "takes %s as an upstream",
    (QWEN_BASE_URL) => {
      expect(readConfig({ ...enough, QWEN_BASE_URL })).toMatchObject({ ok: true, config: { baseUrl: QWEN_BASE_URL } });
    },
  );

  it.each([
    ["https://images.example.com", true],
    ["http://localhost:8787", true],
    ["http://images.example.com", false],
    ["https://images.example.com/darkroom", false],
    ["images.example.com", false],
    ["https://a.example,https://b.example", false],
  ])("takes %s for PUBLIC_ORIGIN: %s", (PUBLIC_ORIGIN, taken) => {
    const result = readConfig({ ...enough, PUBLIC_ORIGIN });
    expect(result.ok ? result.config.publicOrigin : result.errors[0]?.path).toBe(
      taken ? PUBLIC_ORIGIN : "PUBLIC_ORIGIN",
    );
  });

  it.each([
    "a-long-random-text",
    "dr_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
    "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=",
    "a~token~with.every_character-of+bearer/tokens",
    " a-long-random-text\r\n",
  ])("takes the plain token %j for that of the first client, and keeps only its hash", (CLIENT_TOKENS) => {
    const result = readConfig({
      QWEN_API_KEY: "sk-test",
      SIGNING_SECRET: "a secret of many characters",
      CLIENT_TOKENS,
    });
    expect(result.ok && result.config.clientTokens).toEqual({ app: [sha256Hex(CLIENT_TOKENS.trim())] });
    expect(JSON.stringify(result)).not.toContain(CLIENT_TOKENS.trim());
  });

  it.each(["short", "0".repeat(64), "app=a-long-random-text", '"a-long-random-text"', "a long random text of words"])(
    "does not take %s for a token",
    (CLIENT_TOKENS) => {
      const tokenMode = { QWEN_API_KEY: "sk-test", SIGNING_SECRET: "a secret of many characters" };
      expect(readConfig({ ...tokenMode, CLIENT_TOKENS })).toMatchObject({
        ok: false,
        errors: [{ path: "CLIENT_TOKENS" }],
      });
    },
  );

  it("says of a plain text in CLIENT_TOKENS what a token may hold, and of a plain hash what it lacks", () => {
    const errorsOf = (CLIENT_TOKENS: string) => {
      const result = readConfig({ ...enough, CLIENT_TOKENS });
      return result.ok ? [] : result.errors.map(({ message }) => message);
    };
    expect(errorsOf("a long random text")).toEqual([
      expect.stringMatching(/JSON like .*, or a plain token: 16 to 512/),
    ]);
    // Hex digits in capitals have always counted as a plain token.
    expect(errorsOf("AB".repeat(32))).toEqual([]);
    for (const hash of ["ab".repeat(32), `${"ab".repeat(32)}\n`]) {
      expect(errorsOf(hash)).toEqual([
        expect.stringMatching(/JSON like .*: this is a hash without its client's name$/),
      ]);
    }
  });

  it("takes hashes in capitals and with spaces around them, and finds a shared token in either case", () => {
    const upper = sha256Hex("a").toUpperCase();
    const read = (env: object) => readConfig({ ...enough, SIGNING_SECRET: "a secret of many characters", ...env });
    const result = read({
      AUTH_MODE: "token",
      CLIENT_TOKENS: JSON.stringify({ a: upper, b: [` ${sha256Hex("b")}\n`, sha256Hex("c").toUpperCase()] }),
      ADMIN_TOKEN_SHA256: `${sha256Hex("admin").toUpperCase()}\n`,
    });
    expect(result.ok && result.config.clientTokens).toEqual({
      a: [sha256Hex("a")],
      b: [sha256Hex("b"), sha256Hex("c")],
    });
    expect(result.ok && result.config.adminTokenSha256).toBe(sha256Hex("admin"));
    const shared = read({ CLIENT_TOKENS: JSON.stringify({ a: upper, b: sha256Hex("a") }) });
    expect(shared.ok ? [] : shared.errors).toEqual([
      {
        path: "CLIENT_TOKENS",
        message: expect.stringMatching(/^entry 2: has the token of another client.*npm run token/),
      },
    ]);
  });

  describe("CLIENT_TOKENS in several variables", () => {
    const hash = (digit: number) => String(digit).repeat(64);
    const digits: Readonly<Record<string, number>> = { a: 1, b: 2, c: 3, d: 4 };
    const tokens = (...names: string[]) =>
      JSON.stringify(Object.fromEntries(names.map((name) => [name, hash(digits[name] ?? 0)])));
    const tokenMode = { QWEN_API_KEY: "sk-test", SIGNING_SECRET: "a secret of many characters" };

    it("are the clients of all of them", () => {
      const result = readConfig({ ...tokenMode, CLIENT_TOKENS_2: tokens("b", "c"), CLIENT_TOKENS_9: tokens("d") });
      expect(result.ok && Object.keys(result.config.clientTokens)).toEqual(["b", "c", "d"]);
    });

    it("are refused when two of them name the same client", () => {
      const result = readConfig({ ...tokenMode, CLIENT_TOKENS: tokens("a"), CLIENT_TOKENS_3: tokens("b", "a") });
      const message = "entry 2: names a client that CLIENT_TOKENS names already";
      expect(result).toEqual({ ok: false, errors: [{ path: "CLIENT_TOKENS_3", message }] });
    });

    it("are refused when two clients, or a client and the operator, have the same token", () => {
      const twice = JSON.stringify({ a: hash(1), b: [hash(2), hash(1)] });
      expect(readConfig({ ...tokenMode, CLIENT_TOKENS: twice })).toEqual({
        ok: false,
        errors: [
          { path: "CLIENT_TOKENS", message: expect.stringMatching(/^entry 2: has the token of another client/) },
        ],
      });
      const ofOperator = { CLIENT_TOKENS: tokens("a"), ADMIN_TOKEN_SHA256: hash(1) };
      expect(readConfig({ ...tokenMode, ...ofOperator })).toMatchObject({
        ok: false,
        errors: [{ path: "ADMIN_TOKEN_SHA256", message: expect.stringContaining("a client's token, too") }],
      });
    });

    it("name the variable that is wrong", () => {
      const result = readConfig({ ...tokenMode, CLIENT_TOKENS: tokens("a"), CLIENT_TOKENS_2: '{"b":"x"}' });
      expect(result.ok ? [] : result.errors.map(({ path }) => path)).toEqual(["CLIENT_TOKENS_2"]);
    });
  });

  it.each<[string, Record<string, string>, string, RegExp]>([
    [
      "a token and a name in each other's place",
      { CLIENT_TOKENS: '{"hush-1 token":"app"}' },
      "CLIENT_TOKENS",
      /entry 1: a client's name is/,
    ],
    [
      "a token instead of its hash",
      { CLIENT_TOKENS: `{"app":"${"0".repeat(64)}","web":"hush-1"}` },
      "CLIENT_TOKENS",
      /entry 2: must be a sha-256/,
    ],
    ["tokens that are no JSON", { CLIENT_TOKENS: "app=hush-1" }, "CLIENT_TOKENS", /must be JSON like/],
    [
      "the operator's token instead of its hash",
      { ADMIN_TOKEN_SHA256: "hush-1" },
      "ADMIN_TOKEN_SHA256",
      /sha-256 in hex/,
    ],
    ["a key with a space in it", { QWEN_API_KEY: "sk-hush-1 x" }, "QWEN_API_KEY", /without spaces/],
    ["a short secret", { SIGNING_SECRET: "hush-1" }, "SIGNING_SECRET", /at least 16/],
    ["a password in an address", { QWEN_BASE_URL: "https://hush-1:hush-1@a.example" }, "QWEN_BASE_URL", /credentials/],
    ["an origin that is none", { ALLOWED_ORIGINS: "hush-1" }, "ALLOWED_ORIGINS", /must be origins/],
    [
      "a quota's unknown field",
      { LANE_LIMITS: '{"qwen-image-max":{"hush-1":3}}' },
      "LANE_LIMITS",
      /entry 1 \(qwen-image-max\): has an unknown field/,
    ],
    [
      "a quota of the wrong type",
      { LANE_LIMITS: '{"qwen-image-max":{"starts":"hush-1"}}' },
      "LANE_LIMITS",
      /entry 1 \(qwen-image-max\), starts: must be a whole number from 1 up$/,
    ],
    [
      "a bound of the wrong type",
      { LANE_LIMITS: '{"qwen-image-max":{"inProgress":"hush-1"}}' },
      "LANE_LIMITS",
      /entry 1 \(qwen-image-max\), inProgress: must be a whole number from 1 up or null$/,
    ],
    [
      "a quota that is none",
      { LANE_LIMITS: '{"qwen-image-max":"hush-1"}' },
      "LANE_LIMITS",
      /entry 1 \(qwen-image-max\): must be an object$/,
    ],
    [
      "a webhook's address that is not sent to",
      { CLIENT_WEBHOOKS: '{"my-app":"https://a.example/","other-app":"http://b.example/hush-1"}' },
      "CLIENT_WEBHOOKS",
      /^entry 2: must begin with https/,
    ],
    [
      "a price that would be rounded to nothing",
      { PRICES: '{"qwen-image-max":0.0000001}' },
      "PRICES",
      /entry 1 \(qwen-image-max\): must have at most 6 decimals$/,
    ],
    [
      "a limit that would be rounded up",
      { CLIENT_BUDGETS: '{"my-app":{"monthly":0.0749999}}' },
      "CLIENT_BUDGETS",
      /entry 1, monthly: must have at most 6 decimals$/,
    ],
    ["tokens in a list", { CLIENT_TOKENS: '["hush-1"]' }, "CLIENT_TOKENS", /: must be an object$/],
  ])("says what is wrong with %s, and never its value", (_name, env, path, message) => {
    const result = readConfig({ ...enough, ...env });
    expect(result.ok ? [] : result.errors).toEqual([{ path, message: expect.stringMatching(message) }]);
    expect(JSON.stringify(result)).not.toContain("hush-1");
  });
});
