import { createExecutionContext, reset, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Diagnosis } from "../../schemas/doctor.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { app } from "./app.ts";

const ORIGIN = "https://darkroom.example";
const realFetch = globalThis.fetch;
const OPERATOR = { authorization: "Bearer token-of-the-operator" };
// The test's own bindings, whose names the generated Env lacks.
const emulatorUrl = String((env as unknown as Record<string, unknown>).QWEN_BASE_URL);

const settings = {
  ...env,
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret of many characters",
  CLIENT_TOKENS: JSON.stringify({ alice: sha256Hex("token-of-alice") }),
  ADMIN_TOKEN_SHA256: sha256Hex("token-of-the-operator"),
  // The limits in the tests' own configuration name clients that have no token here.
  CLIENT_BUDGETS: undefined,
};

afterEach(async () => {
  await emulatorSettings({ apiKeys: null, regionKeys: {} });
  await reset();
});

async function emulatorSettings(change: object): Promise<void> {
  const init = { method: "PATCH", body: JSON.stringify(change), headers: { "content-type": "application/json" } };
  const answer = await fetch(`${emulatorUrl}/__emulator/settings`, init);
  expect(answer.status).toBe(200);
  await answer.body?.cancel();
}

async function call(vars: object, headers: Record<string, string> = OPERATOR): Promise<Response> {
  const context = createExecutionContext();
  const answer = await app.fetch(new Request(`${ORIGIN}/api/doctor`, { headers }), vars as Env, context);
  await waitOnExecutionContext(context);
  return answer;
}

async function diagnosisOf(changes: object = {}, headers?: Record<string, string>): Promise<Diagnosis> {
  const answer = await call({ ...settings, ...changes }, headers);
  expect(answer.status).toBe(200);
  return Diagnosis.parse(await answer.json());
}

const failing = ({ checks }: Diagnosis) => checks.filter(({ ok }) => ok === false);

describe("the doctor", () => {
  it("finds no fault in a good deployment, and leaves nothing in the bucket", async () => {
    const diagnosis = await diagnosisOf();
    expect(failing(diagnosis)).toEqual([]);
    expect(diagnosis.ok).toBe(true);
    expect(diagnosis.checks.map(({ name }) => name)).toEqual([
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
      "lane qwen-image-edit-max",
      "lane qwen-image-edit-plus",
      "lane z-image-turbo",
      "lane wan2.6-t2i",
    ]);
    expect((await env.RESULTS.list()).objects).toEqual([]);
  });

  it("costs nothing upstream, and sends a good key to no other host", async () => {
    const before = await (await fetch(`${emulatorUrl}/__emulator/ledger`)).json<{ calls: { path: string }[] }>();
    await diagnosisOf();
    const after = await (await fetch(`${emulatorUrl}/__emulator/ledger`)).json<{ calls: { path: string }[] }>();
    const calls = after.calls.slice(before.calls.length).map(({ path }) => path);
    expect(calls).toEqual(["/api/v1/tasks/darkroom-doctor"]);
  });

  it("names the region that a refused key belongs to", async () => {
    await emulatorSettings({ regionKeys: { bj: ["sk-of-beijing"] } });
    const diagnosis = await diagnosisOf({ QWEN_API_KEY: "sk-of-beijing" });
    const [check, ...others] = failing(diagnosis);
    expect([diagnosis.ok, others]).toEqual([false, []]);
    expect(check?.name).toBe("key");
    expect(check?.seen).toMatch(/401 InvalidApiKey.*Beijing \(bj\) accepts it$/);
    expect(check?.fix).toContain('QWEN_REGION="bj"');
  });

  it("reports for a key that no region knows that all were asked, and never shows the key", async () => {
    await emulatorSettings({ apiKeys: ["sk-other"] });
    const answer = await call({ ...settings, QWEN_API_KEY: "sk-unknown-to-everyone" });
    const text = await answer.text();
    const [check] = failing(Diagnosis.parse(JSON.parse(text)));
    expect(check?.seen).toMatch(/Refused too by bj, us, hk$/);
    expect(text).not.toContain("sk-unknown-to-everyone");
  });

  it("names an upstream that is not DashScope", async () => {
    const closed = await diagnosisOf({ QWEN_BASE_URL: "http://127.0.0.1:9" });
    expect(failing(closed).map(({ name }) => name)).toEqual(["upstream"]);
    const foreign = await diagnosisOf({ QWEN_BASE_URL: `${emulatorUrl}/__emulator/nothing-here` });
    expect(failing(foreign).map(({ name }) => name)).toEqual(["upstream"]);
  });

  it("names a PUBLIC_ORIGIN where another server answers, and a webhook address that is this service's own", async () => {
    const elsewhere = await diagnosisOf({ PUBLIC_ORIGIN: emulatorUrl });
    expect(failing(elsewhere).map(({ name, seen }) => [name, seen])).toEqual([
      ["links", expect.stringContaining(`PUBLIC_ORIGIN is ${emulatorUrl}: it answers 404, not as this service does`)],
    ]);
    const own = await diagnosisOf({ CLIENT_WEBHOOKS: JSON.stringify({ alice: `${ORIGIN}/hook` }) });
    expect(failing(own).map(({ name, seen }) => [name, seen])).toEqual([
      ["webhooks", expect.stringContaining("CLIENT_WEBHOOKS entry 1 (alice) must not be an address of this service")],
    ]);
  });

  it("gives no verdict on a PUBLIC_ORIGIN that Cloudflare lets no Worker of the account call", async () => {
    const refused = vi.spyOn(globalThis, "fetch").mockImplementation(async (asked, init) => {
      const url = String(asked instanceof Request ? asked.url : asked);
      if (!url.startsWith("https://images.example/")) return realFetch(asked, init);
      return new Response("error code: 1042", { status: 404 });
    });
    const diagnosis = await diagnosisOf({ PUBLIC_ORIGIN: "https://images.example" });
    refused.mockRestore();
    expect(failing(diagnosis)).toEqual([]);
    const links = diagnosis.checks.find(({ name }) => name === "links");
    expect(links).toMatchObject({ ok: null, seen: expect.stringMatching(/cannot be checked from here.*error 1042/) });
  });

  it("reports that CLIENT_TOKENS holds a token itself instead of its hash", async () => {
    const { checks } = await diagnosisOf({ CLIENT_TOKENS: "a-plain-token-of-the-first-client" });
    expect(checks.find(({ name }) => name === "tokens")).toMatchObject({
      ok: true,
      seen: expect.stringContaining("CLIENT_TOKENS holds the token itself"),
    });
  });

  it("names failing storage, with its error", async () => {
    const RESULTS = {
      put: async () => {
        throw new Error("put: The specified bucket does not exist. (10006)");
      },
    };
    const [check] = failing(await diagnosisOf({ RESULTS }));
    expect(check?.seen).toBe("R2 failed: put: The specified bucket does not exist. (10006)");
  });

  it("answers anyone which settings are wrong and how to mend them, and checks nothing else", async () => {
    const diagnosis = await diagnosisOf({ QWEN_API_KEY: "", QWEN_REGION: "mars" }, {});
    expect(diagnosis.ok).toBe(false);
    expect(diagnosis.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ["variables", false],
      ["variables", false],
    ]);
    expect(diagnosis.checks.map(({ seen }) => seen.split(" ")[0]).toSorted()).toEqual(["QWEN_API_KEY", "QWEN_REGION"]);
  });

  it("is for the operator, and in open mode on this machine for anyone", async () => {
    const refused = await call(settings, { authorization: "Bearer token-of-alice" });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ code: "operator_only" });
    expect((await call(settings, {})).status).toBe(401);
    const context = createExecutionContext();
    const open = await app.fetch(new Request("http://localhost/api/doctor"), env as Env, context);
    await waitOnExecutionContext(context);
    expect(Diagnosis.parse(await open.json()).checks[1]?.seen).toMatch(/^open mode/);
  });

  it("answers a terminal in lines, with how to mend a failed check below it", async () => {
    await emulatorSettings({ apiKeys: ["sk-other"] });
    const answer = await call(settings, { ...OPERATOR, accept: "text/plain" });
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const lines = (await answer.text()).split("\n");
    expect(lines[0]).toMatch(/^Darkroom \d+\.\d+\.\d+, \d{4}-/);
    const at = lines.findIndex((line) => /^ {2}WRONG +key +refused by/.test(line));
    expect(lines[at + 1]).toMatch(/^ +→ Make a key in the Model Studio console of Singapore/);
    expect(lines.at(-2)).toBe("1 of 14 checks failed.");
  });
});
