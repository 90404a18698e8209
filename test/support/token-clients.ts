import { createHash } from "node:crypto";
import type { Job } from "../../schemas/job.ts";
import type { Product } from "./product.ts";

export const CLIENTS = ["ann", "bob", "cy"];
/** The name whose token is the operator's. */
export const OPERATOR = "operator";

const tokenOf = (name: string) => `token-of-${name}`;
const hashOf = (name: string) => createHash("sha256").update(tokenOf(name)).digest("hex");

/** Token mode with three clients and an operator. In open mode the tokens are ignored. */
export const TOKEN_VARS: Readonly<Record<string, string>> = {
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret for tests only",
  ADMIN_TOKEN_SHA256: hashOf(OPERATOR),
  CLIENT_TOKENS: JSON.stringify(Object.fromEntries(CLIENTS.map((name) => [name, hashOf(name)]))),
};

/** The JSON of an answer that must be a success; with a body it is a POST. */
export async function api<Answer>(product: Product, path: string, client: string, body?: object): Promise<Answer> {
  const response = await fetch(`${product.baseUrl}${path}`, {
    headers: { authorization: `Bearer ${tokenOf(client)}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

export function submit(product: Product, client: string, prompt: string): Promise<Job> {
  return api<Job>(product, "/api/workflows/image-from-text", client, { prompt });
}
