import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestHarness } from "wrangler";
import { FaultRule } from "../emulator/core/fault.ts";
import { type RunningEmulator, startEmulator } from "../emulator/server.ts";
import type { Job, JobSummary } from "../schemas/job.ts";
import type { Call } from "./service-binding/caller.ts";
import { packClient, scratchProject } from "./support/client-package.ts";
import { OPEN_LANES, QUICK_EMULATOR } from "./support/product.ts";

/** The programs of `examples/`, with the client's tarball installed, against the real Worker and the emulator. */
const run = promisify(execFile);

let folder: string;
let tarball: string;
/** A PNG file, in Base64. */
let referenceImage: string;
const projects: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "examples-"));
  tarball = await packClient(folder);
  const reference = sharp({ create: { width: 512, height: 512, channels: 3, background: "teal" } });
  referenceImage = (await reference.png().toBuffer()).toString("base64");
});
afterAll(() => {
  for (const made of [folder, ...projects]) rmSync(made, { recursive: true, force: true });
});

/** A copy of the example outside the repository, installed. */
async function installed(name: string, packages: readonly string[]): Promise<string> {
  const project = await scratchProject(tarball, packages);
  projects.push(project);
  cpSync(join("examples", name), project, { recursive: true });
  return project;
}

/** What the compiler prints; empty when it accepts the project. */
async function complaints(project: string): Promise<string> {
  const args = [resolve("node_modules/typescript/bin/tsc"), "-p", project];
  const done = await run(process.execPath, args).catch((error: { stdout: string }) => error);
  return done.stdout;
}

describe("apps in other Workers", () => {
  let emulator: RunningEmulator;
  let harness: ReturnType<typeof createTestHarness>;

  beforeAll(async () => {
    const project = await installed("worker-service-binding", ["@cloudflare/workers-types"]);
    expect(await complaints(project)).toBe("");
    const { latencyMs = 0, quota = "off" } = QUICK_EMULATOR;
    emulator = await startEmulator({ settings: { latencyMs, quota, latencySpread: 0, images: "drawn" } });
    const bound = (binding: string, props?: Record<string, unknown>) => ({
      binding,
      service: "darkroom",
      entrypoint: "DarkroomService",
      ...(props === undefined ? {} : { props }),
    });
    harness = createTestHarness({
      workers: [
        { configPath: join(project, "wrangler.toml") },
        {
          configPath: resolve("wrangler.toml"),
          vars: {
            AUTH_MODE: "token",
            QWEN_BASE_URL: emulator.url,
            LANE_LIMITS: OPEN_LANES,
            MAX_PENDING_JOBS: "3",
            PUBLIC_ORIGIN: "https://images.example.com",
            CLIENT_TOKENS: "{}",
          },
          secrets: { QWEN_API_KEY: "sk-test", SIGNING_SECRET: "a secret of many characters" },
        },
        {
          config: {
            name: "caller",
            main: resolve("test/service-binding/caller.ts"),
            compatibility_date: "2026-10-23",
            compatibility_flags: ["enable_abortsignal_rpc"],
            services: [
              bound("DARKROOM", { client: "caller" }),
              bound("OTHER", { client: "other" }),
              bound("NAMELESS", { name: "caller" }),
            ],
          },
        },
        {
          config: {
            name: "old-caller",
            main: resolve("test/service-binding/caller.ts"),
            compatibility_date: "2024-06-01",
            services: [bound("DARKROOM", { client: "caller" })],
          },
        },
      ],
    });
    await harness.listen();
  });
  afterAll(async () => {
    await harness?.close();
    await emulator?.close();
  });

  describe("the example of a service binding", () => {
    const order = (prompt: string, number: string) =>
      harness.fetch(`/postcards?prompt=${encodeURIComponent(prompt)}&order=${number}`, { method: "POST" });

    it("orders once for repeated requests, and streams the image as a small variant", async () => {
      const first = await order("a red bicycle", "7");
      expect(first.status).toBe(202);
      const { postcard } = (await first.json()) as { postcard: string };
      expect(await (await order("a red bicycle", "7")).json()).toMatchObject({ postcard });
      const image = await harness.fetch(postcard);
      expect([image.status, image.headers.get("content-type")]).toEqual([200, "image/webp"]);
      expect((await image.arrayBuffer()).byteLength).toBeGreaterThan(1_000);
      expect(emulator.state.ledger.images).toHaveLength(1);
    });

    it("answers a refusal with Darkroom's own code", async () => {
      const refused = await order("", "8");
      expect([refused.status, await refused.json()]).toMatchObject([400, { code: "invalid_request" }]);
      const other = await order("another prompt", "7");
      expect([other.status, await other.json()]).toMatchObject([422, { code: "idempotency_key_reused" }]);
      const unknown = await harness.fetch("/postcards/job_V1StGXR8_Z5jdHi6B-myT");
      expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: "job_not_found" }]);
    });
  });

  describe("DarkroomService", () => {
    interface Answered {
      readonly value?: Job & { readonly jobs: readonly JobSummary[] };
      readonly error?: { readonly name: string; readonly message: string; readonly code?: string };
    }
    const send = (call: Call, worker = "caller") =>
      harness.getWorker(worker).fetch("/", { method: "POST", body: JSON.stringify(call) });
    const ask = async (call: Call, worker?: string) => (await (await send(call, worker)).json()) as Answered;
    /** What the call resolves to. */
    const value = async (call: Call) => {
      const answered = await ask(call);
      if (answered.value === undefined) throw new Error(JSON.stringify(answered));
      return answered.value;
    };
    const submit = (prompt: string, more: Partial<Call> = {}) =>
      value({ method: "submit", args: ["image-from-text", { prompt }], ...more });
    const hold = (prompt: string) =>
      emulator.state.addRule(FaultRule.parse({ match: { prompt }, fault: { type: "hold", at: "arrival" } }));

    it("makes an image of a prompt, as a stream and by a link of the public origin", async () => {
      const job = await submit("a lighthouse");
      const done = await value({ method: "wait", args: [job.id] });
      expect(done).toMatchObject({ id: job.id, status: "succeeded" });
      expect(done.output?.images[0]?.url).toMatch(/^https:\/\/images\.example\.com\/api\/jobs\//);
      expect(await value({ method: "get", args: [job.id] })).toMatchObject({ status: "succeeded" });
      const image = await send({ method: "image", args: [job.id, 0] });
      expect(image.headers.get("content-type")).toBe("image/png");
      expect((await image.arrayBuffer()).byteLength).toBe(done.output?.images[0]?.bytes);
    });

    it("holds a submission for `waitSeconds`, and takes a file's bytes as a reference", async () => {
      const args = ["image-from-reference", { prompt: "in winter", seed: 7 }, { waitSeconds: 30 }];
      const job = await value({ method: "submit", args, file: referenceImage });
      expect(job).toMatchObject({ status: "succeeded", request: { seed: 7, images: [{ kind: "upload" }] } });
    });

    it("stops waiting at the timeout with the unfinished job, and by a signal with its reason", async () => {
      hold("slow");
      const job = await submit("slow");
      expect(await value({ method: "wait", args: [job.id, { timeoutSeconds: 1 }] })).toMatchObject({ done: false });
      const left = await ask({ method: "wait", args: [job.id], abortAfterMs: 100 });
      expect(left.error).toMatchObject({ message: "the reader left" });
      expect(await value({ method: "cancel", args: [job.id] })).toMatchObject({ status: "canceled" });
      expect(await value({ method: "retry", args: [job.id] })).toMatchObject({ done: false });
      await value({ method: "cancel", args: [job.id] });
    });

    it("shows and changes only the jobs of its own client", async () => {
      const job = await submit("mine");
      await value({ method: "wait", args: [job.id] });
      for (const method of ["get", "wait", "cancel", "retry"] as const) {
        expect((await ask({ method, args: [job.id], binding: "OTHER" })).error).toMatchObject({
          code: "job_not_found",
        });
      }
      await expect
        .poll(async () => (await value({ method: "list", args: [{ q: "mine" }] })).jobs.map(({ id }) => id))
        .toEqual([job.id]);
      expect((await ask({ method: "list", args: [], binding: "OTHER" })).value?.jobs).toEqual([]);
    });

    it("refuses as the HTTP API does: requests, finished jobs, and more unfinished jobs than the client may have", async () => {
      const error = async (call: Call) => (await ask(call)).error;
      const wrong = await error({ method: "submit", args: ["image-from-text", { prompt: "x", size: "7*7" }] });
      expect(wrong).toMatchObject({ name: "DarkroomProblem", code: "invalid_request", status: 400 });
      const job = await submit("finished");
      await value({ method: "wait", args: [job.id] });
      expect(await error({ method: "cancel", args: [job.id] })).toMatchObject({ code: "job_finished", status: 409 });
      expect(await error({ method: "image", args: [job.id, 9] })).toMatchObject({ code: "image_not_found" });
      expect(await error({ method: "get", args: ["../../limits"] })).toMatchObject({ code: "job_not_found" });
      const circle = { method: "submit", args: ["image-from-text", { prompt: "a circle" }, { hops: "3" }] } as const;
      expect(await error(circle)).toMatchObject({ code: "loop_detected", status: 508 });
      hold("crowd");
      const crowd = [await submit("crowd"), await submit("crowd"), await submit("crowd")];
      const full = await error({ method: "submit", args: ["image-from-text", { prompt: "crowd" }] });
      expect(full).toMatchObject({ code: "too_many_pending_jobs", status: 429 });
      for (const { id } of crowd) await value({ method: "cancel", args: [id] });
    });

    it("needs props that name the client, and a workflow that exists", async () => {
      const nameless = await ask({ method: "list", args: [], binding: "NAMELESS" });
      expect(nameless.error?.message).toContain('{ client = "my-app" }');
      const strange = await ask({ method: "submit", args: ["image-from-sound", { prompt: "x" }] });
      expect(strange.error?.message).toContain("no such workflow");
    });

    it("ends its messages with the code, because a caller with an old compatibility date gets only the message", async () => {
      const refused = await ask({ method: "get", args: ["job_V1StGXR8_Z5jdHi6B-myT"] }, "old-caller");
      expect(refused.error?.code).toBeUndefined();
      expect(refused.error?.message).toMatch(/\(job_not_found\)$/);
    });
  });
});
