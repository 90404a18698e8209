import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "./support/free-port.ts";
import { type Product, startProduct } from "./support/product.ts";

const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

let product: Product;
beforeAll(async () => {
  product = await startProduct({
    env: {
      AUTH_MODE: "token",
      CLIENT_TOKENS: JSON.stringify({ alice: hashOf("token-of-alice") }),
      ADMIN_TOKEN_SHA256: hashOf("token-of-the-operator"),
      SIGNING_SECRET: "a secret of many characters",
    },
    emulator: { regionKeys: { bj: ["sk-of-beijing"] } },
  });
});
afterAll(() => product?.stop());

/** `npm run doctor -- ARGS`. */
async function doctor(args: readonly string[], token: string | null = "token-of-the-operator") {
  const { DARKROOM_TOKEN: _, ...env } = process.env;
  const child = spawn(process.execPath, ["scripts/doctor.ts", ...args], {
    env: { ...env, ...(token === null ? {} : { DARKROOM_TOKEN: token }) },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, text };
}

describe("npm run doctor", () => {
  it("reports no fault, and ends with 0", async () => {
    const { code, text } = await doctor([product.baseUrl]);
    expect(text).toMatch(/All is well\.\s*$/);
    expect(text).toMatch(/ok +key +accepted by 127\.0\.0\.1:\d+/);
    expect(code).toBe(0);
  });

  it.each([
    ["no token", null, "The doctor speaks to the operator only: DARKROOM_TOKEN=…"],
    ["a token of no client", "x", "belongs to no client here"],
    ["a client's token", "token-of-alice", "is a client's"],
  ])("with %s says which token it needs", async (_what, token, words) => {
    const { code, text } = await doctor([product.baseUrl], token);
    expect([code, text]).toEqual([1, expect.stringContaining(words)]);
  });

  it.each([[[]], [["darkroom.example"]], [["ftp://darkroom.example"]]])(
    "without an address (%o) shows its usage",
    async (args) => {
      expect(await doctor(args)).toEqual({ code: 2, text: expect.stringContaining("usage: npm run doctor -- URL") });
    },
  );

  it("sends no token in the clear to another machine", async () => {
    expect(await doctor(["http://darkroom.example"])).toEqual({
      code: 1,
      text: expect.stringContaining("is not https"),
    });
  });

  it("says when nobody answers, and when the answer is not from a Darkroom", async () => {
    const closed = await doctor([`http://127.0.0.1:${await freePort()}`]);
    expect(closed).toEqual({ code: 1, text: expect.stringMatching(/does not answer.*\nIs the address right/s) });
    const other = createServer((_request, response) => response.end("<html>hello</html>"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const foreign = await doctor([`http://127.0.0.1:${(other.address() as AddressInfo).port}`]);
    other.close();
    expect(foreign).toEqual({ code: 1, text: expect.stringContaining("not as a Darkroom does") });
  });

  /** The faults of the first users' set-ups, except a missing entitlement, which only a paid call shows. */
  it.each([
    ["a wrong key", { QWEN_API_KEY: "no-key-at-all" }, /WRONG +key +refused by .*Refused too by bj, us, hk/],
    ["a key of another region", { QWEN_API_KEY: "sk-of-beijing" }, /Beijing \(bj\) accepts it\n +→ .*QWEN_REGION="bj"/],
    [
      "a key that is not on the Worker",
      { QWEN_API_KEY: "" },
      /QWEN_API_KEY is not set.*\n +→ .*wrangler secret put QWEN_API_KEY/,
    ],
  ])("names %s, and ends with 1", async (_what, env, words) => {
    await product.kill("worker");
    await product.restart(env);
    const { code, text } = await doctor([product.baseUrl]);
    expect(text).toMatch(words);
    expect(code).toBe(1);
  });

  it("follows a link to PUBLIC_ORIGIN, and names a missing entitlement once a job was blocked by it", async () => {
    const { port } = new URL(product.baseUrl);
    await product.kill("worker");
    await product.restart({ QWEN_API_KEY: "sk-emulator", PUBLIC_ORIGIN: `http://localhost:${port}` });
    const byAddress = await doctor([`http://127.0.0.1:${port}`]);
    expect(byAddress.text).toMatch(/ok +links +start with http:\/\/localhost:\d+ \(PUBLIC_ORIGIN\), and open here/);
    const submitted = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { authorization: "Bearer token-of-alice", "content-type": "application/json" },
      body: JSON.stringify({ prompt: "[fault:unpurchased] a red bicycle" }),
    });
    expect(submitted.status).toBe(202);
    await expect
      .poll(async () => (await doctor([product.baseUrl])).text)
      .toMatch(/WRONG +lane qwen-image-max +blocked by AccessDenied\.Unpurchased .*\n +→ /);
  });
});
