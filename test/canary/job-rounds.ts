import { FAULT_WORDS } from "../../emulator/core/fault-words.ts";
import type { Job } from "../../schemas/job.ts";
import { inPool } from "../support/pool.ts";
import { ECHOES, TASK_ECHOES } from "./echoing-upstream.ts";
import { LANES, type MarkedSecrets } from "./marked-secrets.ts";
import { formsOf } from "./marks.ts";
import type { Recorder } from "./recorder.ts";

export interface Lab {
  readonly recorder: Recorder;
  readonly secrets: MarkedSecrets;
  /** No secret: a text that is sent on purpose, to show that the search would find a text in what was kept. */
  readonly control: string;
}

/** Faults that block a whole lane, so each gets a lane of its own. */
const BLOCKING = ["wrong-key", "arrears", "unpurchased", "redirect", "echo:redirect", "echo:unauthorized"];
/** Faults that last until they are removed; all others occur once, and the job succeeds afterwards. */
const LASTING = ["hang", "task-stuck", "task-pending", "result-not-found", "result-forbidden"];
/** Replacements for words that stand for a family of faults, or would take minutes. */
const SHORTER: Readonly<Record<string, string>> = {
  "slow:20s": "slow:2s",
  "expires:5s": "expires:1ms",
  "error:ANY.CODE": "error:Throttling.BurstRate",
  huge: "empty-content",
};
/** A job that is unfinished after this time ends by itself, with `deadline_exceeded`. */
const DEADLINE_SECONDS = 10;
/** With more at once, on a busy machine, attempts would end by their short budgets before upstream answers. */
const AT_ONCE = 12;

function text(body: object): string {
  return JSON.stringify(body);
}

export async function submit({ recorder, secrets }: Lab, body: object, workflow = "image-from-text"): Promise<Job> {
  const answer = await recorder.ask(`/api/workflows/${workflow}`, {
    method: "POST",
    token: secrets.tokens.app,
    headers: { "content-type": "application/json" },
    body: text({ deadlineSeconds: DEADLINE_SECONDS, ...body }),
  });
  if (answer.status !== 202) throw new Error(`${answer.status} ${answer.body.toString()}`);
  return JSON.parse(answer.body.toString()) as Job;
}

/** The ended job. A job that is still storing after every deadline is canceled. */
export async function finished({ recorder, secrets }: Lab, id: string): Promise<Job> {
  const token = secrets.tokens.app;
  const read = await recorder.ask(`/api/jobs/${id}`, { token, headers: { prefer: "wait=12" } });
  const job = JSON.parse(read.body.toString()) as Job;
  if (job.done) return job;
  const canceled = await recorder.ask(`/api/jobs/${id}/cancel`, { method: "POST", token });
  return JSON.parse(canceled.body.toString()) as Job;
}

/** Watches a job to its end by a signed link, with a socket or a stream, or not at all. */
async function watched({ recorder }: Lab, { links }: Job, how: number): Promise<void> {
  if (how === 0) await (await recorder.watch(links.events, { origin: "https://app.example" })).closed;
  if (how === 1) await recorder.ask(links.events, { headers: { accept: "text/event-stream" } });
}

async function runToEnd(lab: Lab, job: Job, index: number): Promise<Job> {
  const watching = watched(lab, job, index % 3);
  const ended = await finished(lab, job.id);
  await watching;
  return ended;
}

/** Prompts for every fault of the emulator and every echo, each with the model that it is for. */
function faultyJobs(): object[] {
  const words = FAULT_WORDS.map((word) =>
    BLOCKING.includes(word) || LASTING.includes(word) ? `[fault:${word}]` : `[fault:${SHORTER[word] ?? word} x1]`,
  );
  words.push(...Object.keys(ECHOES).map((word) => `echo:${word}`), "echo:control");
  const tasks = Object.keys(TASK_ECHOES).map((word) => ({ prompt: `a house echo:${word}`, model: LANES.tasks }));
  const others = words.map((word, index) => {
    const block = BLOCKING.findIndex((blocking) => word === blocking || word === `[fault:${blocking}]`);
    const shared = LANES.shared[index % LANES.shared.length];
    return {
      prompt: `a house ${word}`,
      model: LANES.blocked[block] ?? (word.includes("task-") ? LANES.tasks : shared),
    };
  });
  return [...tasks, ...others];
}

/** A picture whose Exif data contains a text of ours. */
async function pictureWith(words: string): Promise<Buffer> {
  const { default: sharp } = await import("sharp");
  const picture = sharp({ create: { width: 512, height: 512, channels: 3, background: "#753" } });
  return await picture
    .withExif({ IFD0: { ImageDescription: words } })
    .jpeg()
    .toBuffer();
}

/** Jobs from pictures: uploaded in a form, in a data URL, and named by address. */
async function pictureJobs(lab: Lab): Promise<Job[]> {
  const picture = await pictureWith(lab.control);
  const url = `data:image/jpeg;base64,${picture.toString("base64")}`;
  const form = new FormData();
  form.set("prompt", `in oil, ${lab.control}`);
  form.set("image", new Blob([Uint8Array.from(picture)], { type: "image/jpeg" }), "picture.jpg");
  const path = "/api/workflows/image-from-reference";
  const answer = await lab.recorder.ask(path, { method: "POST", token: lab.secrets.tokens.app, body: form });
  if (answer.status !== 202) throw new Error(`${answer.status} ${answer.body.toString()}`);
  const byAddress = { prompt: "in chalk", images: ["https://example.com/picture.jpg"] };
  const others = [{ prompt: "in ink", images: [url] }, byAddress];
  const jobs = await Promise.all(others.map((body) => submit(lab, body, "image-from-reference")));
  return [JSON.parse(answer.body.toString()) as Job, ...jobs];
}

/** Submits every kind of job, watches all of them to their end, and returns the ended jobs. */
export async function runJobs(lab: Lab): Promise<Job[]> {
  const { recorder, secrets, control } = lab;
  const bearer = { authorization: `Bearer ${secrets.tokens.app}` };
  const feed = await recorder.watch("/api/events", bearer);
  await feed.opened;
  const leaving = new AbortController();
  const headers = { accept: "text/event-stream" };
  const stream = recorder.ask("/api/events", { token: secrets.tokens.app, headers, signal: leaving.signal });
  const left = stream.catch(() => undefined);
  const plain = ["a red bicycle", "two trees, 两棵树"].map((prompt) => ({ prompt, metadata: { note: prompt } }));
  // A prompt may not contain control characters, which some forms (UTF-16) have; metadata keeps any text.
  const controls = Array.from(formsOf(Buffer.from(control)).values(), (form) => ({
    prompt: `see ${form.toString("latin1").replace(/\p{Cc}/gu, "")}`,
    metadata: { note: `see ${form.toString("latin1")}` },
  }));
  const bodies = [...plain, ...controls, ...faultyJobs()];
  const ended = await inPool(
    AT_ONCE,
    bodies,
    async (body, index) => await runToEnd(lab, await submit(lab, body), index),
  );
  ended.push(...(await inPool(AT_ONCE, await pictureJobs(lab), (job, index) => runToEnd(lab, job, index))));
  await recorder.ask("/api/health");
  await recorder.ask("/api/limits", { token: secrets.tokens.app });
  feed.socket.close();
  leaving.abort();
  await Promise.all([feed.closed, left]);
  return ended;
}
