import { createHash } from "node:crypto";
import { type Product, type ProductOptions, startProduct } from "../support/product.ts";

/** A client's token, as its user has it. */
export const TOKEN = "dk_compatible_clients";

/** The product in token mode, with one client. */
export function startCompatProduct(options: ProductOptions = {}): Promise<Product> {
  const clients = { "my-app": createHash("sha256").update(TOKEN).digest("hex") };
  const env = { AUTH_MODE: "token", CLIENT_TOKENS: JSON.stringify(clients), SIGNING_SECRET: "a secret of tests only" };
  return startProduct({ ...options, env: { ...env, ...options.env } });
}

/** The jobs that the native API shows of a prompt. */
export async function jobsWith(product: Product, prompt: string): Promise<{ id: string; status: string }[]> {
  const query = new URLSearchParams({ q: prompt });
  const headers = { authorization: `Bearer ${TOKEN}` };
  const answer = await fetch(`${product.baseUrl}/api/jobs?${query}`, { headers });
  return ((await answer.json()) as { jobs: { id: string; status: string }[] }).jobs;
}
