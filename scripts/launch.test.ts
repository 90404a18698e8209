import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RunningEmulator, startEmulator } from "../emulator/server.ts";
import { cloudIn, standInWrangler } from "../test/support/stand-in-wrangler.ts";

const KEY = "sk-the-key-of-singapore";
const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

let emulator: RunningEmulator;
let service: Server;
let serviceUrl = "";
let folder = "";
let standIn: Readonly<Record<string, string>> = {};
let isWell = true;
let doctorAsked: (string | undefined)[] = [];

beforeAll(async () => {
  emulator = await startEmulator({ settings: { apiKeys: [KEY] } });
  // The deployed service, as far as the launch calls it.
  service = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/api/health") return response.end('{"status":"ok"}');
    doctorAsked.push(request.headers.authorization);
    const checks = [{ name: "key", ok: isWell, seen: "looked at", fix: isWell ? null : "mend it" }];
    const time = new Date().toISOString();
    return response.end(JSON.stringify({ ok: isWell, service: "darkroom", version: "0.1.0", time, checks }));
  });
  await new Promise<void>((done) => service.listen(0, "127.0.0.1", done));
  serviceUrl = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
});
afterAll(async () => {
  service.close();
  await emulator.close();
});
beforeEach(() => {
  doctorAsked = [];
  isWell = true;
  folder = mkdtempSync(join(tmpdir(), "darkroom-launch-"));
  standIn = standInWrangler(folder, serviceUrl);
  cpSync("wrangler.toml", join(folder, "wrangler.toml"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function launch(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  host: readonly string[] = ["--base-url", emulator.url],
) {
  const { DARKROOM_TOKEN: _, QWEN_API_KEY: __, ...inherited } = process.env;
  const script = resolve("scripts/launch.ts");
  const child = spawn(process.execPath, [script, ...host, ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...inherited,
      ...standIn,
      SKIP_BUILD: "1",
      QWEN_API_KEY: KEY,
      ...env,
    },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, text };
}

const cloud = () => cloudIn(folder);

const tokenIn = (text: string, whose: string) => new RegExp(`${whose}: {2}(dr_\\S+)`).exec(text)?.[1] ?? "";

describe("npm run launch", () => {
  it("makes the bucket, deploys, puts the secrets, asks the doctor, and prints what to keep", async () => {
    const { code, text } = await launch(["--name", "prints", "--region", "bj", "--client", "shop"]);
    expect(code, text).toBe(0);
    const { buckets, secrets, deploys } = cloud();
    expect([buckets, deploys]).toEqual([["prints-results"], 1]);
    const client = tokenIn(text, "token of shop");
    const operator = tokenIn(text, "operator's token");
    expect(secrets).toEqual({
      QWEN_API_KEY: KEY,
      SIGNING_SECRET: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
      CLIENT_TOKENS: JSON.stringify({ shop: hashOf(client) }),
      ADMIN_TOKEN_SHA256: hashOf(operator),
    });
    expect(doctorAsked).toEqual([`Bearer ${operator}`]);
    expect(text).toContain("All is well.");
    const toml = readFileSync(join(folder, "wrangler.toml"), "utf8");
    expect(toml).toMatch(/^name = "prints"$/m);
    expect(toml).toMatch(/^bucket_name = "prints-results"$/m);
    expect(toml).toMatch(/^QWEN_REGION = "bj"$/m);
    expect(toml).toContain(`QWEN_BASE_URL = "${emulator.url}"`);
  });

  it("puts no secret into arguments, the environment of commands, or files", async () => {
    const { text } = await launch();
    const tokens = [tokenIn(text, "token of my-app"), tokenIn(text, "operator's token")];
    const { calls, secrets } = cloud();
    for (const { args, key } of calls) {
      expect(key).toBeNull();
      for (const secret of [KEY, ...tokens, ...Object.values(secrets)]) expect(args.join(" ")).not.toContain(secret);
    }
    const left = readdirSync(folder).filter((name) => name !== "cloud.json" && name !== "bin");
    expect(left).toEqual(["wrangler.toml"]);
    for (const secret of [KEY, ...tokens])
      expect(readFileSync(join(folder, "wrangler.toml"), "utf8")).not.toContain(secret);
  });

  it("on a second run changes nothing that exists, but deploys again", async () => {
    const first = await launch();
    const before = cloud();
    const toml = readFileSync(join(folder, "wrangler.toml"), "utf8");
    const second = await launch([], { DARKROOM_TOKEN: tokenIn(first.text, "operator's token") });
    expect(second.code, second.text).toBe(0);
    const after = cloud();
    expect([after.secrets, after.buckets, after.deploys]).toEqual([before.secrets, before.buckets, 2]);
    expect(readFileSync(join(folder, "wrangler.toml"), "utf8")).toBe(toml);
    expect(second.text).not.toMatch(/dr_/);
    expect(second.text).toContain("CLIENT_TOKENS was there already");
    expect(doctorAsked).toHaveLength(2);
  });

  it.each([
    ["whoami", "npx wrangler login  (or set CLOUDFLARE_API_TOKEN). What wrangler said: the cloud says no"],
    ["secret list", "the secrets of darkroom could not be listed: the cloud says no"],
    ["r2 bucket create", "the bucket darkroom-results could not be made: the cloud says no"],
    ["deploy", "the deploy failed"],
    ["secret bulk", "putting the secrets failed (wrangler secret bulk --name darkroom): the cloud says no"],
  ])("stopped at %s prints the reason, and continues from there on the next run", async (step, words) => {
    const stopped = await launch([], { FAIL_AT: step });
    expect(stopped.code).toBe(1);
    expect(stopped.text).toContain(words);
    expect(stopped.text).toContain("it continues from there");
    const again = await launch();
    expect(again.code, again.text).toBe(0);
    expect(cloud().buckets).toEqual(["darkroom-results"]);
    expect(Object.keys(cloud().secrets).toSorted()).toEqual([
      "ADMIN_TOKEN_SHA256",
      "CLIENT_TOKENS",
      "QWEN_API_KEY",
      "SIGNING_SECRET",
    ]);
  });

  it("on a second run without a host uses the one that it wrote into wrangler.toml", async () => {
    expect((await launch([], { FAIL_AT: "deploy" })).code).toBe(1);
    const again = await launch([], {}, []);
    expect(again.code, again.text).toBe(0);
    expect(again.text).not.toContain("could not be tried from here");
  });

  it("prints the tokens even when the doctor finds a fault", async () => {
    isWell = false;
    const stopped = await launch();
    expect(stopped.code).toBe(1);
    expect(stopped.text).toContain("→ mend it");
    const operator = tokenIn(stopped.text, "operator's token");
    expect(cloud().secrets.ADMIN_TOKEN_SHA256).toBe(hashOf(operator));
    isWell = true;
    expect((await launch([], { DARKROOM_TOKEN: operator })).code).toBe(0);
  });

  it("prints the tokens even when they were stored but wrangler reports a failure", async () => {
    const stopped = await launch([], { LOSE_ANSWER_OF: "secret bulk" });
    expect(stopped.code).toBe(1);
    expect(stopped.text).toContain("The tokens above may have been stored");
    const operator = tokenIn(stopped.text, "operator's token");
    expect(cloud().secrets).toMatchObject({
      CLIENT_TOKENS: JSON.stringify({ "my-app": hashOf(tokenIn(stopped.text, "token of my-app")) }),
      ADMIN_TOKEN_SHA256: hashOf(operator),
    });
    const again = await launch([], { DARKROOM_TOKEN: operator });
    expect(again.code, again.text).toBe(0);
  });

  it.each(["the cloud says no", "request 7f10007a of account 10007 timed out"])(
    "never replaces the secrets of a Worker whose secrets cannot be listed: %s",
    async (words) => {
      const first = await launch();
      const { secrets } = cloud();
      expect((await launch([], { FAIL_AT: "secret list", FAIL_WORDS: words })).code).toBe(1);
      expect(cloud().secrets).toEqual(secrets);
      expect(first.code).toBe(0);
    },
  );

  it("reads code 10007 as a Worker that does not exist yet", async () => {
    const words = "A request to the Cloudflare API failed.\nThis Worker does not exist on your account. [code: 10007]";
    const { text } = await launch([], { FAIL_AT: "secret list", FAIL_WORDS: words });
    expect(text).toContain("All is well.");
  });

  it("keeps a Worker's own tokens and adds what is missing", async () => {
    const cloudBefore = {
      buckets: [],
      secrets: { CLIENT_TOKENS: "{}", QWEN_API_KEY: "sk-old" },
      deploys: 1,
      calls: [],
    };
    writeFileSync(join(folder, "cloud.json"), JSON.stringify(cloudBefore));
    const { code, text } = await launch();
    expect(code, text).toBe(0);
    expect(cloud().secrets).toMatchObject({ CLIENT_TOKENS: "{}", QWEN_API_KEY: "sk-old" });
    expect(Object.keys(cloud().secrets)).toHaveLength(4);
    expect(text).toContain("QWEN_API_KEY was put before and is as it was");
  });

  it("makes nothing for a key that the host refuses, and prints where keys come from", async () => {
    const { code, text } = await launch([], { QWEN_API_KEY: "sk-of-somewhere-else" });
    expect([code, text]).toEqual([1, expect.stringMatching(/refuses the key \(InvalidApiKey\).*Model Studio console/)]);
    expect(cloud()).toMatchObject({ buckets: [], secrets: {}, deploys: 0 });
  });

  it.each([
    [["--name", "My Shop"], 1, "is not a valid name for a Worker"],
    [["--region", "mars"], 1, "mars is no region: sg, bj, us, hk"],
    [["--client", "a b"], 1, "is no client's name"],
    [["--key", "sk-x"], 2, "usage: npm run launch"],
  ])("refuses %o and does nothing", async (args, wanted, words) => {
    const { code, text } = await launch(args);
    expect([code, text]).toEqual([wanted, expect.stringContaining(words)]);
    expect(cloud().calls).toEqual([]);
  });

  it("without a key and without a terminal names the variable that it reads", async () => {
    const { code, text } = await launch([], { QWEN_API_KEY: "" });
    expect([code, text]).toEqual([1, expect.stringContaining("set QWEN_API_KEY in the environment")]);
  });
});
