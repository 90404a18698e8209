/// <reference types="vite/types/importMeta.d.ts" />
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JobView } from "../contract.ts";

/** What the object of a job had stored at one moment. */
export interface StoredJob {
  readonly id: string;
  readonly atMs: number;
  readonly alarmAtMs: number | null;
  readonly kv: Readonly<Record<string, unknown>>;
  /** The view of a finished job by the code that wrote it; null for any other. */
  readonly view: JobView | null;
}

/** A file of databases: `upstream` is the base URL that the code which wrote them was configured with. */
export type StoredFile<Content> = Content & { readonly upstream: string };

/**
 * The same data as if it had been written now, for the upstream of this test run: epoch milliseconds and ISO times move by
 * the same amount, and `replace` maps old text (the upstream's host, a link, a task id) to new text.
 */
export function asOfNow<Data>(data: Data, writtenAtMs: number, replace: ReadonlyMap<string, string>): Data {
  const byMs = Date.now() - writtenAtMs;
  const moved = (value: unknown): unknown => {
    if (typeof value === "number") return value > 1e12 ? value + byMs : value;
    if (typeof value === "string") return movedText(value, byMs, replace);
    if (Array.isArray(value)) return value.map(moved);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, moved(inner)]));
  };
  // The same shape, with other times and names in it.
  return moved(data) as Data;
}

function movedText(text: string, byMs: number, replace: ReadonlyMap<string, string>): string {
  let replaced = text;
  for (const [before, after] of replace) replaced = replaced.replaceAll(before, after);
  return replaced.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (at) =>
    new Date(Date.parse(at) + byMs).toISOString(),
  );
}

/** Old text → new text, so that lanes and links of the file are those of this run's upstream. */
export function upstreamOfThisRun(upstream: string): Map<string, string> {
  return new Map([[new URL(upstream).host, new URL(env.QWEN_BASE_URL).host]]);
}

/** Puts a stored job into its object's database, as a deploy finds it: nothing of it is in memory. */
export async function putStoredJob({ id, kv, alarmAtMs }: StoredJob): Promise<void> {
  const object = env.JOBS.getByName(id);
  await runInDurableObject(object, async (_object, { storage }) => {
    for (const [key, value] of Object.entries(kv)) storage.kv.put(key, value);
    if (alarmAtMs !== null) await storage.setAlarm(alarmAtMs);
  });
}
