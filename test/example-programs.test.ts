import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import sharp from "sharp";
import { build, type PreviewServer, preview } from "vite";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import type { JobList } from "../schemas/job.ts";
import type { DeliveryList, WebhookSecret } from "../schemas/webhook.ts";
import { packClient, scratchProject } from "./support/client-package.ts";
import { freePort } from "./support/free-port.ts";
import { visitorOf } from "./support/page.ts";
import { type Product, startProduct } from "./support/product.ts";
import { until } from "./support/until.ts";

/**
 * The programs of `examples/` that use HTTP, started as in their READMEs, with a client's token and the client's tarball
 * installed. `PACKAGE=long` adds the tests that need packages from a registry: Next.js itself, and Python's packages.
 */
const isLong = process.env.PACKAGE === "long";

const run = promisify(execFile);
const TOKEN = "dk_a_token_of_examples";

let product: Product;
let folder: string;
let tarball: string;
const servers: ChildProcess[] = [];
const projects: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "example-programs-"));
  const hash = createHash("sha256").update(TOKEN).digest("hex");
  [tarball, product] = await Promise.all([
    packClient(folder),
    startProduct({
      env: {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify({ examples: hash }),
        SIGNING_SECRET: "a secret of many characters",
        // So that no attempt is repeated because the machine is slow.
        QWEN_TIMEOUT_MS: "280000",
      },
      emulator: { images: "drawn" },
    }),
  ]);
  process.env.DARKROOM_URL = product.baseUrl;
  process.env.DARKROOM_TOKEN = TOKEN;
});
afterAll(async () => {
  delete process.env.DARKROOM_URL;
  delete process.env.DARKROOM_TOKEN;
  for (const server of servers) server.kill("SIGKILL");
  await product?.stop();
  for (const made of [folder, ...projects]) rmSync(made, { recursive: true, force: true });
});

/** A copy of the example outside the repository, with the tarball and the given packages of ours; its types are checked. */
async function installed(name: string, packages: readonly string[]): Promise<string> {
  const project = await scratchProject(tarball, packages);
  projects.push(project);
  cpSync(join("examples", name), project, { recursive: true });
  const args = [resolve("node_modules/typescript/bin/tsc"), "-p", project];
  const compiled = await run(process.execPath, args).catch((error: { stdout: string }) => error);
  expect(compiled.stdout).toBe("");
  return project;
}

/** The program's end, whatever its exit code. */
interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function ended(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  try {
    const { stdout, stderr } = await run(command, [...args], { env: { ...process.env, ...env } });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Ended;
    return { code, stdout, stderr };
  }
}

async function asClient<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", ...init.headers };
  return (await (await fetch(`${product.baseUrl}${path}`, { ...init, headers })).json()) as Answer;
}

/** The jobs with a prompt, once the list has `count` of them: the list has a job shortly after the submission's answer. */
function jobsWith(prompt: string, count: number): Promise<JobList["jobs"]> {
  return until(`${count} jobs of "${prompt}"`, async () => {
    const { jobs } = await asClient<JobList>(`/api/jobs?${new URLSearchParams({ q: prompt })}`);
    return jobs.length === count ? jobs : undefined;
  });
}

const refuse = (prompt: string) =>
  product.emulator.addFault({ match: { prompt }, times: null, fault: { type: "error", code: "DataInspectionFailed" } });
const hold = (prompt: string) =>
  product.emulator.addFault({ match: { prompt }, times: null, fault: { type: "hold", at: "arrival" } });

describe("the React page", () => {
  let server: PreviewServer;
  let origin: string;
  const visitor = visitorOf();
  beforeAll(async () => {
    const react = ["react", "react-dom", "@types/react", "@types/react-dom", "csstype"];
    const root = await installed("react-use-job", [...react, "vite", "@types/node", "undici-types"]);
    await build({ root, logLevel: "error" });
    server = await preview({ root, logLevel: "error", preview: { port: await freePort(), strictPort: true } });
    origin = server.resolvedUrls?.local[0] ?? "";
  });
  afterAll(() => server?.close());

  async function generate(prompt: string): Promise<void> {
    await visitor.page.goto(origin);
    await visitor.page.getByLabel("Prompt").fill(prompt);
    await visitor.page.getByRole("button", { name: "Generate" }).click();
  }
  const status = (text: string) => visitor.page.getByRole("status").filter({ hasText: text }).waitFor();

  it("shows the progress of a job up to its image, also after a reload, and sends no token", async () => {
    const prompt = "a lighthouse at dusk";
    await hold(prompt);
    const sent: string[] = [];
    visitor.page.on("request", (request) => sent.push(JSON.stringify(request.headers())));
    await generate(prompt);
    await status("generating");
    await visitor.page.reload();
    await status("generating");
    expect(await visitor.page.getByRole("progressbar").getAttribute("value")).toBe("1");
    await product.emulator.release(prompt);
    await status("done");
    const image = visitor.page.getByRole("img", { name: prompt });
    await image.waitFor();
    await image.evaluate((element: HTMLImageElement) => element.decode());
    expect(await image.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBe(640);
    expect(sent.filter((headers) => headers.includes(TOKEN))).toEqual([]);
    expect(await visitor.page.content()).not.toContain(TOKEN);
  });

  it("cancels a job, and watches it again once it is retried", async () => {
    const prompt = "a harbour in fog";
    await hold(prompt);
    await generate(prompt);
    await visitor.page.getByRole("button", { name: "Cancel" }).click();
    await status("canceled");
    await visitor.page.getByRole("button", { name: "Try again" }).click();
    await status("generating");
    await product.emulator.release(prompt);
    await status("done");
  });

  it("shows Darkroom's refusals, and why a job failed", async () => {
    await generate(" ");
    await visitor.page.getByRole("alert").filter({ hasText: "prompt" }).waitFor();
    const prompt = "a refused picture";
    await refuse(prompt);
    await generate(prompt);
    await visitor.page.getByRole("button", { name: "Try again" }).waitFor();
    const [job] = await jobsWith(prompt, 1);
    await status(job?.error?.message ?? "no message");
  });
});

describe("the route handlers for Next.js", () => {
  interface Picture {
    readonly id: string;
    readonly done: boolean;
    readonly status: string;
    readonly error: string | null;
    readonly images: readonly { readonly full: string; readonly small: string }[];
  }
  let post: (request: Request) => Promise<Response>;
  let get: (request: Request, context: { params: Promise<{ id: string }> }) => Promise<Response>;
  beforeAll(async () => {
    const project = await installed("nextjs", ["@types/node", "undici-types"]);
    const handlers = (file: string) => import(/* @vite-ignore */ pathToFileURL(join(project, file)).href);
    post = (await handlers("app/api/pictures/route.ts")).POST;
    get = (await handlers("app/api/pictures/[id]/route.ts")).GET;
  });

  const order = (body: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    post(
      new Request("https://app.example.com/api/pictures", { method: "POST", body, headers, signal: signal ?? null }),
    );
  const read = (id: string, signal?: AbortSignal) =>
    get(new Request(`https://app.example.com/api/pictures/${id}`, { signal: signal ?? null }), {
      params: Promise.resolve({ id }),
    });

  it("order a picture once for each key, and answer with its links once it is made", async () => {
    const body = JSON.stringify({ prompt: "a bridge in spring" });
    const ordered = await order(body, { "idempotency-key": "bridge-1" });
    expect(ordered.status).toBe(202);
    const { id } = (await ordered.json()) as Picture;
    expect(ordered.headers.get("location")).toBe(`/api/pictures/${id}`);
    expect(await (await order(body, { "idempotency-key": "bridge-1" })).json()).toMatchObject({ id });
    const answer = await read(id);
    expect(answer.status).toBe(200);
    const { images, ...picture } = (await answer.json()) as Picture;
    expect(picture).toMatchObject({ id, done: true, status: "succeeded", error: null });
    const small = await fetch(images[0]?.small ?? "");
    expect((await sharp(await small.arrayBuffer()).metadata()).width).toBe(640);
    expect((await fetch(images[0]?.full ?? "")).headers.get("content-type")).toBe("image/png");
  });

  it("answer with Darkroom's refusals, and with a job's own failure", async () => {
    for (const body of ["", "[]", "{}", '{"prompt": ""}']) {
      const refused = await order(body);
      expect([refused.status, await refused.json()]).toMatchObject([400, { code: "invalid_request" }]);
    }
    const unknown = await read("job_V1StGXR8_Z5jdHi6B-myT");
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: "job_not_found" }]);
    const prompt = "a picture that upstream refuses";
    await refuse(prompt);
    const { id } = (await (await order(JSON.stringify({ prompt }))).json()) as Picture;
    const { status, error } = (await (await read(id)).json()) as Picture;
    expect([status, error]).toEqual(["failed", expect.any(String)]);
  });

  it("stop waiting when the browser leaves", async () => {
    const prompt = "a picture nobody waits for";
    await hold(prompt);
    const { id } = (await (await order(JSON.stringify({ prompt }))).json()) as Picture;
    const left = new AbortController();
    const reading = read(id, left.signal);
    left.abort(new Error("the browser left"));
    await expect(reading).rejects.toThrow("the browser left");
    await product.emulator.release(prompt);
  });

  it.runIf(isLong)("are built by Next.js itself, and answer in its server", async () => {
    const project = await installed("nextjs", ["@types/node", "undici-types"]);
    rmSync(join(project, "node_modules"), { recursive: true });
    await run("npm", ["install", "--no-audit", "--no-fund", tarball], { cwd: project });
    const next = join(project, "node_modules/next/dist/bin/next");
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };
    await run(process.execPath, [next, "build"], { cwd: project, env });
    const port = await freePort();
    const server = await started(process.execPath, [next, "start", "--port", String(port)], {
      cwd: project,
      port,
      ready: "Ready in",
      env,
    });
    const pictures = `${server.origin}/api/pictures`;
    const ordered = await fetch(pictures, { method: "POST", body: JSON.stringify({ prompt: "a tower" }) });
    const { id } = (await ordered.json()) as Picture;
    expect(await (await fetch(`${pictures}/${id}`)).json()).toMatchObject({ id, status: "succeeded" });
  });
});

/** The programs that make one image: `PROGRAM PROMPT FILE`. */
const PROGRAMS: readonly {
  readonly name: string;
  readonly command: (context: TestContext) => Promise<readonly [string, string]>;
  readonly size: string;
  readonly failure: string;
}[] = [
  {
    name: "the shell script",
    command: async () => ["sh", "examples/shell/generate.sh"],
    size: "1328x1328",
    failure: "content_rejected",
  },
  {
    name: "the Python program with requests",
    command: async (context) => [await pythonWith("requests", context), "examples/python/generate.py"],
    size: "1328x1328",
    failure: "failed:",
  },
  {
    name: "the Python program with openai",
    command: async (context) => [await pythonWith("openai", context), "examples/python/generate_openai.py"],
    size: "1328x1328",
    failure: "moderation_blocked",
  },
];

describe.each(PROGRAMS)("$name", ({ command, size, failure }) => {
  it("saves the image of a prompt with characters that need quoting", async (context) => {
    const [interpreter, program] = await command(context);
    const prompt = `it's "${program}", a \\ and $HOME; @file <x> 夜`;
    const file = join(folder, "image.png");
    const done = await ended(interpreter, [program, prompt, file]);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining(file) });
    const { width, height } = await sharp(readFileSync(file)).metadata();
    expect(`${width}x${height}`).toBe(size);
    const [job] = await jobsWith(program, 1);
    expect(job?.prompt).toBe(prompt);
  });

  it("ends with 1 and says why, when the job fails, when Darkroom refuses, and when the token is wrong", async (context) => {
    const [interpreter, program] = await command(context);
    const prompt = `refused in ${program}`;
    await refuse(prompt);
    const file = join(folder, "none.png");
    const failed = await ended(interpreter, [program, prompt, file]);
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining(failure) });
    const refused = await ended(interpreter, [program, " ", file]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/400|must say what to draw/) });
    const stranger = await ended(interpreter, [program, prompt, file], { DARKROOM_TOKEN: "dk_wrong" });
    expect(stranger).toMatchObject({ code: 1, stderr: expect.stringMatching(/401|unauthorized/) });
    const unused = await ended(interpreter, [program]);
    expect([unused.code, unused.stderr]).not.toEqual([0, ""]);
  });
});

it("the shell script gets the same job for the same KEY", async () => {
  const prompt = "one job for two runs";
  const script = ["examples/shell/generate.sh", prompt, join(folder, "same.png")];
  const runs = [await ended("sh", script, { KEY: "run-7" }), await ended("sh", script, { KEY: "run-7" })];
  expect(runs[1]?.stdout).toBe(runs[0]?.stdout);
  await jobsWith(prompt, 1);
});

it("the Python programs are Python", async () => {
  for (const name of ["generate", "generate_openai"]) {
    const parse = `import ast; ast.parse(open("examples/python/${name}.py").read())`;
    expect(await ended("python3", ["-c", parse])).toMatchObject({ code: 0, stderr: "" });
  }
});

/** A Python that has the package; the long form installs it. Skips the test where there is none. */
async function pythonWith(name: string, context: TestContext): Promise<string> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    if ((await ended(python, ["-c", `import ${name}`])).code === 0) return python;
  }
  if (!isLong) context.skip(`no Python here has the package ${name}`);
  const venv = join(folder, "venv");
  await run("python3", ["-m", "venv", venv]);
  await run(join(venv, "bin/pip"), ["install", "--quiet", "-r", "examples/python/requirements.txt"]);
  return join(venv, "bin/python3");
}

interface Server {
  readonly origin: string;
  log(): string;
}

/** Starts a program that prints `ready` once it listens. */
async function started(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly port: number; readonly ready: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Server> {
  const { cwd, port, ready } = options;
  const env = { ...process.env, ...options.env };
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  servers.push(child);
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  await until("the program", () => {
    if (child.exitCode !== null) throw new Error(log);
    return log.includes(ready) || undefined;
  });
  return { origin: `http://127.0.0.1:${port}`, log: () => log };
}

describe("the receiver of webhooks", () => {
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    // Only open mode allows receivers on this machine.
    await product.kill("worker");
    await product.restart({ AUTH_MODE: "open" });
    const { secret } = await asClient<WebhookSecret>("/api/webhooks/secret?client=local");
    env = { DARKROOM_WEBHOOK_SECRET: `whsec_b3RoZXI=,${secret}` };
  });

  async function startHono(): Promise<Server> {
    const packages = ["hono", "@hono/node-server", "@types/node", "undici-types"];
    const cwd = await installed("webhook-hono", packages);
    const port = await freePort();
    const own = { ...env, PORT: String(port) };
    return await started(process.execPath, ["src/index.ts"], { cwd, port, ready: "listening", env: own });
  }

  async function startPython(): Promise<Server> {
    const port = await freePort();
    const cwd = "examples/webhook-python";
    return await started("python3", ["receiver.py", String(port)], { cwd, port, ready: "listening", env });
  }

  it.each([
    ["Hono", startHono],
    ["Python", startPython],
  ])("in %s takes a genuine event once, also when it is sent again, and refuses every other", async (_name, start) => {
    const receiver = await start();
    const url = `${receiver.origin}/darkroom`;
    const { id } = await asClient<{ id: string }>("/api/workflows/image-from-text", {
      method: "POST",
      body: JSON.stringify({ prompt: "a red bicycle", webhook: { url } }),
      headers: { prefer: "wait=30" },
    });
    const deliveredAfter = (tries: number) =>
      until(`${tries} tries`, async () => {
        const { deliveries } = await asClient<DeliveryList>(`/api/jobs/${id}/deliveries`);
        const [first] = deliveries;
        return first?.state === "delivered" && first.tries.length === tries ? first : undefined;
      });
    const { number } = await deliveredAfter(1);
    await asClient(`/api/jobs/${id}/deliveries/${number}/resend`, { method: "POST" });
    const { tries } = await deliveredAfter(2);
    expect(tries.map(({ status }) => status)).toEqual([204, 204]);
    expect(receiver.log().match(/succeeded: http/g)).toHaveLength(1);

    const forged = { "webhook-id": `${id}.9`, "webhook-timestamp": String(Math.floor(Date.now() / 1000)) };
    for (const signature of ["v1,AAAA", "", "v1,größer"]) {
      const headers = { ...forged, "webhook-signature": encodeURI(signature) };
      const sent = await fetch(url, { method: "POST", body: "{}", headers });
      expect(sent.status).toBe(400);
    }
  });
});
