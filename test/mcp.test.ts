import { createHash } from "node:crypto";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Product, startProduct } from "./support/product.ts";

/** The tools at `/mcp`, used by the protocol's own client. */

const TOKENS = { alice: "token-of-alice", bob: "token-of-bob", operator: "token-of-the-operator" };
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

let product: Product;
const clients: Client[] = [];

beforeAll(async () => {
  product = await startProduct({
    emulator: { images: "drawn" },
    env: {
      AUTH_MODE: "token",
      SIGNING_SECRET: "a secret of many characters",
      ADMIN_TOKEN_SHA256: sha256(TOKENS.operator),
      CLIENT_TOKENS: JSON.stringify({ alice: sha256(TOKENS.alice), bob: sha256(TOKENS.bob) }),
    },
  });
});
afterAll(async () => {
  for (const client of clients) await client.close();
  await product?.stop();
});

async function connected(token: string, path = "/mcp", headers: Record<string, string> = {}): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" });
  const requestInit = { headers: { Authorization: `Bearer ${token}`, ...headers } };
  await client.connect(new StreamableHTTPClientTransport(new URL(path, product.baseUrl), { requestInit }));
  clients.push(client);
  return client;
}

interface Answer {
  readonly isError?: boolean;
  readonly content: readonly {
    readonly type: string;
    readonly text?: string;
    readonly data?: string;
    readonly mimeType?: string;
  }[];
  readonly structuredContent?: {
    readonly id: string;
    readonly status: string;
    readonly images: readonly { readonly url: string; readonly width: number }[];
    readonly jobs: readonly { readonly id: string }[];
  };
}
const call = async (client: Client, name: string, args: Record<string, unknown>) =>
  (await client.callTool({ name, arguments: args })) as Answer;

describe("the tools at /mcp", () => {
  it("are four, each with a description and a schema of its input", async () => {
    const { tools } = await (await connected(TOKENS.alice)).listTools();
    expect(tools.map(({ name }) => name).toSorted()).toEqual(["cancel_job", "generate_image", "get_job", "list_jobs"]);
    for (const { description, inputSchema } of tools) {
      expect(description).not.toBe("");
      expect(inputSchema.type).toBe("object");
    }
  });

  it("make an image of a prompt: the answer has its link and one small picture", async () => {
    const alice = await connected(TOKENS.alice);
    const made = await call(alice, "generate_image", { prompt: "a lighthouse" });
    expect(made.structuredContent).toMatchObject({ status: "succeeded", images: [{ width: 1664 }] });
    const [link] = made.structuredContent?.images ?? [];
    expect(made.content[0]?.text).toContain(link?.url);
    expect((await fetch(link?.url ?? "")).headers.get("content-type")).toBe("image/png");
    expect(made.content.filter(({ type }) => type === "image")).toHaveLength(1);
    const picture = Buffer.from(made.content[1]?.data ?? "", "base64");
    expect(await sharp(picture).metadata()).toMatchObject({ format: "jpeg", width: 320 });
    // Nothing else is inline: the whole answer stays small.
    expect(JSON.stringify(made).length).toBeLessThan(picture.length * 1.5 + 4_000);
    expect((await product.emulator.ledger()).summary.billedImages).toBe(1);
  });

  it("answer with the job's id when the image takes longer than the wait, and get_job gets the image later", async () => {
    const alice = await connected(TOKENS.alice);
    await product.emulator.addFault({ match: { prompt: "slow" }, times: 1, fault: { type: "hold", at: "arrival" } });
    const started = await call(alice, "generate_image", { prompt: "slow", waitSeconds: 1 });
    const id = started.structuredContent?.id ?? "";
    expect(started.structuredContent).toMatchObject({ done: false, images: [] });
    expect(started.content[0]?.text).toContain(`Call get_job with this id`);
    await product.emulator.release("slow");
    const done = await call(alice, "get_job", { id, waitSeconds: 45 });
    expect(done.structuredContent).toMatchObject({ id, status: "succeeded" });
  });

  it("list and cancel only the jobs of the token's client", async () => {
    const [alice, bob] = [await connected(TOKENS.alice), await connected(TOKENS.bob)];
    await product.emulator.addFault({ match: { prompt: "held" }, times: null, fault: { type: "hold", at: "arrival" } });
    const { structuredContent } = await call(alice, "generate_image", { prompt: "held", waitSeconds: 0 });
    const id = structuredContent?.id ?? "";
    await expect
      .poll(async () => (await call(alice, "list_jobs", { q: "held" })).structuredContent?.jobs.map((job) => job.id))
      .toEqual([id]);
    expect((await call(bob, "list_jobs", {})).structuredContent?.jobs).toEqual([]);
    for (const name of ["get_job", "cancel_job"]) {
      const refused = await call(bob, name, { id });
      expect([refused.isError, refused.content[0]?.text]).toEqual([true, expect.stringContaining("(job_not_found)")]);
    }
    expect((await call(alice, "cancel_job", { id })).structuredContent).toMatchObject({ status: "canceled" });
    expect((await call(alice, "cancel_job", { id })).structuredContent).toMatchObject({ status: "canceled" });
  });

  it("give the same job to a call that is repeated with its key, and pay once", async () => {
    const alice = await connected(TOKENS.alice);
    const asked = { prompt: "a pier", idempotencyKey: 'the "first" pier, \\ 1' };
    const first = await call(alice, "generate_image", asked);
    const again = await call(alice, "generate_image", { ...asked, waitSeconds: 5 });
    expect(first.structuredContent?.status).toBe("succeeded");
    expect(again.structuredContent?.id).toBe(first.structuredContent?.id);
    // Only images of this prompt count: a job of another test may still be under way.
    expect((await product.emulator.ledger(asked.prompt)).images).toHaveLength(1);
    const other = await call(alice, "generate_image", { ...asked, prompt: "another pier" });
    expect([other.isError, other.content[0]?.text]).toEqual([
      true,
      expect.stringContaining("(idempotency_key_reused)"),
    ]);
    const wrong = await call(alice, "generate_image", { ...asked, idempotencyKey: "é" });
    expect([wrong.isError, wrong.content[0]?.text]).toEqual([true, expect.stringContaining("printable ASCII")]);
  });

  it("end a loop of webhooks and calls, as a submission does", async () => {
    const circling = await connected(TOKENS.alice, "/mcp", { "Darkroom-Hops": "3" });
    const refused = await call(circling, "generate_image", { prompt: "a circle" });
    expect([refused.isError, refused.content[0]?.text]).toEqual([true, expect.stringContaining("(loop_detected)")]);
  });

  it("write into the operator's log what the operator does to a client's job", async () => {
    await product.emulator.addFault({
      match: { prompt: "logged" },
      times: null,
      fault: { type: "hold", at: "arrival" },
    });
    const operator = await connected(TOKENS.operator, "/mcp?client=alice");
    const { structuredContent } = await call(operator, "generate_image", { prompt: "logged", waitSeconds: 0 });
    const id = structuredContent?.id ?? "";
    const alice = await connected(TOKENS.alice);
    expect((await call(alice, "get_job", { id })).structuredContent).toMatchObject({ id });
    expect((await call(operator, "cancel_job", { id })).structuredContent).toMatchObject({ status: "canceled" });
    const headers = { authorization: `Bearer ${TOKENS.operator}`, accept: "application/json" };
    const log = await (await fetch(`${product.baseUrl}/api/operator/log`, { headers })).json();
    const entry = { who: "operator", target: id, failed: null };
    expect(log).toMatchObject({
      entries: [
        { ...entry, action: "job.cancel" },
        { ...entry, action: "job.submit", details: { client: "alice" } },
      ],
    });
  });

  it("name the wrong field and the reason", async () => {
    const refused = await call(await connected(TOKENS.alice), "generate_image", { prompt: "x", size: "7*7" });
    expect(refused.isError).toBe(true);
    expect(refused.content[0]?.text).toMatch(/\(invalid_request\)\n\/size /);
  });
});

describe("/mcp", () => {
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${product.baseUrl}/mcp`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
      body: JSON.stringify(body),
    });
  const initialize = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "old", version: "1" } },
  };

  it("refuses a request without a valid token, and an unknown method, as the rest of the API does", async () => {
    const refused = await post(initialize);
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="darkroom"']);
    expect(await refused.json()).toMatchObject({ code: "unauthorized" });
    expect((await post(initialize, { authorization: "Bearer nobody" })).status).toBe(401);
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await fetch(`${product.baseUrl}/mcp`, { method });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    }
  });

  it("serves clients of the protocol's revision of 2025", async () => {
    const answer = await post(initialize, { authorization: `Bearer ${TOKENS.alice}` });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('"serverInfo":{"name":"darkroom"');
    expect(answer.headers.get("x-request-id")).not.toBeNull();
  });
});
