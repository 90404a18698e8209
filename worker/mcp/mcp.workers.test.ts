import {
  createExecutionContext,
  evictDurableObject,
  reset,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import type { JobRecord } from "../job/core/record.ts";
import { jobObject } from "../stubs.ts";
import { mcpApp } from "./app.ts";

const URL = "http://localhost/mcp";

afterEach(() => reset());

interface Answer {
  readonly content: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent: { readonly id: string; readonly status: string };
}

/** One call of a tool, without the protocol's own client, which workerd cannot run. */
async function callTool(name: string, args: Record<string, unknown>): Promise<Answer> {
  const context = createExecutionContext();
  const body = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } };
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const request = new Request(URL, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await mcpApp(URL)?.fetch(request, env, context);
  const text = (await answer?.text()) ?? "";
  await waitOnExecutionContext(context);
  const json = text.startsWith("{") ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? text);
  return (JSON.parse(json) as { readonly result: Answer }).result;
}

it("the small picture is that of the first image that was stored, whatever its index", async () => {
  const made = await callTool("generate_image", { prompt: "a picture of two", model: "z-image-turbo" });
  const { id } = made.structuredContent;
  // As a job is whose other image could not be copied before its link ended.
  const job = jobObject(env.JOBS, id);
  await runInDurableObject(job, (_job, { storage }) => {
    const record = storage.kv.get<JobRecord>("record");
    if (record?.state.status !== "succeeded") throw new Error("the job has no image");
    const images = record.state.images.map((image) => ({ ...image, index: 1 }));
    storage.kv.put("record", { ...record, state: { ...record.state, images } });
  });
  await evictDurableObject(job);
  const [words, ...others] = (await callTool("get_job", { id })).content;
  expect(words?.text).toContain(`/api/jobs/${id}/images/1`);
  expect(words?.text).not.toContain("There is no small picture");
  expect(others.map(({ type }) => type)).toEqual(["image"]);
});

it("an answer has only links when its small picture would be too large", async () => {
  const made = await callTool("generate_image", { prompt: "a tall picture of noise", model: "z-image-turbo" });
  expect(made.structuredContent.status).toBe("succeeded");
  const { id } = made.structuredContent;
  const { objects } = await env.RESULTS.list({ prefix: `jobs/${id}/` });
  const original = objects.map(({ key }) => key).toSorted()[0];
  const pictureOf = async (bytes: number) => {
    await env.RESULTS.put(`${original}/320w-q75.jpeg`, new Uint8Array(bytes));
    return (await callTool("get_job", { id })).content;
  };
  expect((await pictureOf(100_000)).map(({ type }) => type)).toEqual(["text", "image"]);
  const [words, ...others] = await pictureOf(100_001);
  expect(others).toEqual([]);
  expect(words?.text).toContain(`/api/jobs/${id}/images/0`);
  expect(words?.text).toContain("There is no small picture of it");
});

it("a page of an allowed origin may send the headers that the protocol's clients add", async () => {
  const context = createExecutionContext();
  const names = "mcp-method, mcp-name, mcp-protocol-version, mcp-session-id";
  const headers = {
    origin: "http://localhost:6274",
    "access-control-request-method": "POST",
    "access-control-request-headers": `authorization, content-type, ${names}, x-evil`,
  };
  const answer = await mcpApp(URL)?.fetch(new Request(URL, { method: "OPTIONS", headers }), env, context);
  await waitOnExecutionContext(context);
  const allowed = answer?.headers.get("access-control-allow-headers") ?? "";
  expect(allowed).toContain(names);
  expect(allowed).not.toContain("x-evil");
});
