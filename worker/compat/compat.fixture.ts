import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import type { FaultInput } from "../../emulator/core/fault.ts";
import { emulatorControl } from "../../test/support/control.ts";
import { SYNC_MODEL } from "../job/job.fixture.ts";
import { compatApp } from "./app.ts";

/** For tests inside workerd: the compatible APIs with real objects, and the emulator as their upstream. */

export const ORIGIN = "http://localhost:8787";
export { SYNC_MODEL };

export const upstream = emulatorControl(env.QWEN_BASE_URL);

let prompts = 0;

/** A unique prompt, so that faults and the ledger concern it alone. */
export function newPrompt(): string {
  prompts += 1;
  return `compatible picture ${prompts} ${crypto.randomUUID()}`;
}

export async function befall(prompt: string, fault: FaultInput, times: number | null = null): Promise<void> {
  await upstream.addFault({ match: { prompt }, times, fault });
}

/** What upstream has made and billed for a prompt. */
export async function billed(prompt: string): Promise<number> {
  return (await upstream.ledger(prompt)).images.length;
}

export function call(path: string, init: RequestInit = {}): Promise<Response> {
  return exports.default.fetch(`${ORIGIN}${path}`, init);
}

export function post(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  const init = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  };
  return call(path, init);
}

/** A request whose client can hang up, as on the platform: `hangUp` aborts its signal. */
export function postWithHangUp(path: string, body: object, bindings: object = {}, headers: object = {}) {
  const client = new AbortController();
  const context = createExecutionContext();
  const request = new Request(`${ORIGIN}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
    signal: client.signal,
  });
  const app = compatApp(request.url);
  if (app === null) throw new Error(`${path} is no path of a compatible API`);
  const answer = Promise.resolve(app.fetch(request, { ...env, ...bindings }, context));
  return {
    answer,
    async hangUp(): Promise<void> {
      client.abort();
      await answer.catch(() => undefined);
      await waitOnExecutionContext(context);
    },
  };
}

/** The ids of the jobs that an answer names. */
export function jobsOf(answer: Response): string[] {
  return (answer.headers.get("x-darkroom-job") ?? "").split(", ").filter((id) => id !== "");
}

/** A PNG that upstream accepts, because upstream has drawn it. */
export async function drawnImage(): Promise<ArrayBuffer> {
  const body = { prompt: newPrompt(), model: SYNC_MODEL, size: "512x512", response_format: "url" };
  const answer = await (await post("/v1/images/generations", body)).json<{ data: { url: string }[] }>();
  const image = await exports.default.fetch(answer.data[0]?.url ?? "");
  return await image.arrayBuffer();
}
