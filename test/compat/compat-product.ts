import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { REPEATED_AFTER_MS } from "../../worker/catalog/core/held-marks.ts";
import { type Product, type ProductOptions, startProduct } from "../support/product.ts";

/** A client's token, as its user has it. */
export const TOKEN = "dk_compatible_clients";
export const OTHER_TOKEN = "dk_another_client";

const hash = (token: string) => createHash("sha256").update(token).digest("hex");

/** The product in token mode, with two clients. */
export function startCompatProduct(options: ProductOptions = {}): Promise<Product> {
  const clients = { "my-app": hash(TOKEN), "other-app": hash(OTHER_TOKEN) };
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

/**
 * Resolves once a request that is sent now is taken for the repetition of any that has reached upstream by now. `wrangler dev`
 * does not pass on a client's hang-up, so that time alone decides. The Worker runs on the same clock.
 */
export async function untilTakenForRepetition(): Promise<void> {
  const endsAtMs = Date.now() + REPEATED_AFTER_MS;
  while (Date.now() < endsAtMs) await pause(endsAtMs - Date.now());
}

/**
 * Holds the first read of the task that a prompt becomes; `untilHeld` resolves when the job has stored the task. The read ends
 * with the process that asks, and later reads are answered.
 */
export async function holdTaskRead(product: Product, prompt: string): Promise<void> {
  const match = { path: "/tasks/", prompt };
  await product.emulator.addFault({ match, times: 1, fault: { type: "hold", at: "arrival" } });
}
