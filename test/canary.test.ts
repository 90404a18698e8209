import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { webhookSecrets } from "../worker/webhooks/send.ts";
import { askAsBrowser, askTheRest, askWithWrongCredentials, readJobs } from "./canary/asking-rounds.ts";
import { filesOf, startDarkroom } from "./canary/darkroom-process.ts";
import { startEchoingUpstream } from "./canary/echoing-upstream.ts";
import { type Lab, runJobs } from "./canary/job-rounds.ts";
import { markedSecrets, misplaced, QUICK_VARS } from "./canary/marked-secrets.ts";
import { formsOf, needlesOf } from "./canary/marks.ts";
import { recorderOf } from "./canary/recorder.ts";
import { counted, type Leak, type Place, type PlaceKind, searcherFor } from "./canary/search.ts";
import { runWebhooks } from "./canary/webhook-rounds.ts";
import { freePort } from "./support/free-port.ts";
import { type ProcessGroup, startGroup } from "./support/process-group.ts";
import { buildPageOnce } from "./support/product.ts";
import { until } from "./support/until.ts";

/** The rounds take 70 s on a quiet machine; the bound ends only rounds that hang. */
const ROUNDS_MS = 480_000;

const secrets = markedSecrets();
/** Webhook secrets of the client of open mode. None of the searched answers may show them. */
const webhookKeys = webhookSecrets({ signingSecrets: [secrets.signing, secrets.signingOld] }, "local").map((key) => ({
  name: "a webhook's secret",
  text: key.slice("whsec_".length),
}));
const control = `control-${crypto.randomUUID()}`;
const needles = needlesOf([...secrets.secrets, ...webhookKeys]);
const search = searcherFor(needles);
const searchControl = searcherFor(needlesOf([{ name: "control", text: control }]));
const folder = mkdtempSync(join(tmpdir(), "darkroom-canary-test-"));
const temporary = join(folder, "tmp");
mkdirSync(temporary);
const places: Place[] = [];
let emulator: ProcessGroup;

/** The first 40 leaks, one for each place and secret: enough to mend them. */
function described(leaks: readonly Leak[]): string[] {
  return [...new Set(leaks.map(({ kind, place, secret, form }) => `${secret} (${form}) in ${kind}: ${place}`))].slice(
    0,
    40,
  );
}

async function startEmulator(): Promise<string> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const settings = JSON.stringify({ latencyMs: 100, latencySpread: 0, quota: "off", images: "small-file" });
  const args = [
    "emulator/main.ts",
    "--port",
    new URL(url).port,
    "--state",
    join(folder, "emulator"),
    "--settings",
    settings,
  ];
  emulator = startGroup(args, process.env);
  await until("the emulator", () => fetch(`${url}/__emulator/`).catch(() => undefined));
  return url;
}

/** A command's files in `out` and its output, with every secret in its environment. */
function made(kind: PlaceKind, out: string, args: readonly string[]): Place[] {
  // Without this variable, which `npm test` sets, the page's build always leaves its compile cache in TMPDIR.
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: undefined,
    ...secrets.vars,
    WRANGLER_SEND_METRICS: "false",
    HOME: folder,
    TMPDIR: temporary,
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`${stdout}\n${stderr}`);
  const said: Place = { kind, name: `what ${args.slice(0, 2).join(" ")} says`, bytes: Buffer.from(stdout + stderr) };
  return [said, ...filesOf(out, () => kind)];
}

function dryRun(): Place[] {
  const out = join(folder, "bundle");
  return made("bundle", out, ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", out]);
}

/** Builds the page into a folder of its own, because other tests use the served one at the same time. */
function pageBuild(): Place[] {
  const out = join(folder, "page");
  const args = ["node_modules/vite/bin/vite.js", "build", "--config", "web/vite.config.ts", "--outDir", out];
  return made("page", out, args);
}

/** The answers when every setting is wrong. */
async function misconfigured(): Promise<Place[]> {
  const darkroom = await startDarkroom(misplaced(secrets));
  try {
    const recorder = recorderOf(darkroom.baseUrl);
    const health = await recorder.ask("/api/health");
    if (health.status !== 503) throw new Error(`the wrong settings were taken: ${health.body.toString()}`);
    await askTheRest({ recorder, secrets, control });
    return [...recorder.places, ...(await darkroom.end())];
  } finally {
    await darkroom.end();
    darkroom.forget();
  }
}

beforeAll(async () => {
  buildPageOnce();
  const upstream = await startEchoingUpstream(await startEmulator(), control);
  const upstreamed = { ...QUICK_VARS, ...secrets.vars, QWEN_BASE_URL: upstream.baseUrl };
  const darkroom = await startDarkroom(upstreamed);
  try {
    const recorder = recorderOf(darkroom.baseUrl);
    const lab: Lab = { recorder, secrets, control };
    const jobs = await runJobs(lab);
    const [first] = jobs;
    if (first === undefined) throw new Error("no job");
    await readJobs(lab, jobs.slice(1));
    await askWithWrongCredentials(lab);
    await askAsBrowser(lab, first);
    await askTheRest(lab);
    places.push(...darkroom.running());
    places.push(
      ...(await darkroom.end()),
      ...recorder.places,
      ...upstream.places,
      ...dryRun(),
      ...pageBuild(),
      ...filesOf(temporary, () => "left behind"),
      ...(await misconfigured()),
      ...(await runWebhooks({ secrets, control }, { ...upstreamed, AUTH_MODE: "open" })),
    );
  } finally {
    await darkroom.end();
    darkroom.forget();
    await upstream.close();
    await emulator.kill("SIGTERM");
  }
}, ROUNDS_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KINDS: readonly PlaceKind[] = [
  "answer",
  "frame",
  "stored row",
  "stored blob",
  "log",
  // Only on systems that show command lines as files.
  ...(existsSync("/proc/self/stat") ? (["command line"] as const) : []),
  "sent upstream",
  "sent to a webhook",
  "left behind",
  "page",
  "bundle",
];

/** `bytes` with `planted` inserted at a random place. */
function withPlanted(bytes: Buffer, planted: Buffer): Buffer {
  const at = Math.floor(Math.random() * Math.max(1, bytes.length - planted.length));
  return Buffer.concat([bytes.subarray(0, at), planted, bytes.subarray(at)]);
}

describe("the search", () => {
  it("has looked at places of every kind", () => {
    expect([...new Set(places.map(({ kind }) => kind))]).toEqual(expect.arrayContaining([...KINDS]));
  });

  it("finds every secret planted in a place of every kind, in every form", () => {
    let planted = 0;
    for (const kind of KINDS) {
      const place = places.find((place) => place.kind === kind);
      if (place === undefined) throw new Error(`no ${kind}`);
      const cut = { ...place, bytes: place.bytes.subarray(0, 20_000) };
      for (const { name, text } of secrets.secrets) {
        for (const [form, bytes] of formsOf(Buffer.from(text, "latin1"))) {
          const leaks = search({ ...cut, bytes: withPlanted(cut.bytes, bytes) });
          expect(
            leaks.map(({ secret }) => secret),
            `${name}, ${form}, in a ${kind}`,
          ).toContain(name);
          planted += 1;
        }
      }
    }
    console.log(`${planted} planted leaks, all found`);
  });

  it("finds a secret that is cut at any place, as at the end of a database page, in plain text and in base64", () => {
    for (const { name, text } of secrets.secrets) {
      for (const prefix of ["", "x", "xx"]) {
        for (const written of [Buffer.from(text), Buffer.from(Buffer.from(prefix + text).toString("base64"))]) {
          for (let at = 1; at < written.length; at++) {
            const bytes = Buffer.concat([written.subarray(0, at), Buffer.alloc(64), written.subarray(at)]);
            const leaks = search({ kind: "stored row", name: "two pages", bytes });
            expect(
              leaks.map(({ secret }) => secret),
              `${name} cut at ${at}`,
            ).toContain(name);
          }
        }
      }
    }
  });

  it.each<PlaceKind>(["answer", "frame", "stored row", "stored blob", "log", "sent upstream", "sent to a webhook"])(
    "finds what went through the whole product to a %s",
    (kind) => {
      const found = places.filter((place) => place.kind === kind).flatMap(searchControl);
      expect(found.length).toBeGreaterThan(0);
    },
  );

  it.each([...formsOf(Buffer.from(control)).keys()])("finds a stored text that is %s", (form) => {
    const stored = places.filter(({ kind }) => kind === "stored row").flatMap(searchControl);
    expect(stored.map((leak) => leak.form)).toContain(form);
  });
});

describe("the secrets", () => {
  it("are in no answer, frame, stored byte, log, page or bundle, in any form", () => {
    const leaks = places.flatMap(search);
    console.log(`${secrets.secrets.length} secrets in ${needles.length} pieces and forms\n${counted(places)}`);
    expect(described(leaks)).toEqual([]);
  });
});
