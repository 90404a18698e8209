import { createExecutionContext, reset, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
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
