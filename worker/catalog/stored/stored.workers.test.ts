import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FeedFrame } from "../../../schemas/event.ts";
import { asOfNow, type StoredFile, upstreamOfThisRun } from "../../job/stored/stored.fixture.ts";
import { catalogStub } from "../../stubs.ts";
import { watchHeaders } from "../../watch/watch-request.ts";
import type { CatalogEntry } from "../contract.ts";

/* Databases of a client's catalog that earlier versions wrote and with which today's code continues. */

interface StoredCatalog {
  readonly atMs: number;
  readonly schema: readonly string[];
  readonly tables: Readonly<Record<string, readonly Readonly<Record<string, string | number>>[]>>;
  readonly kv: Readonly<Record<string, unknown>>;
}

const files = import.meta.glob<StoredFile<StoredCatalog>>("./version-*.json", { eager: true, import: "default" });

const EVERYTHING = { status: null, workflow: null, limit: 100, cursor: null } as const;

let names = 0;

async function restored(file: string) {
  const found = files[file];
  if (found === undefined) throw new Error(`no ${file}`);
  const stored = asOfNow(found, found.atMs, upstreamOfThisRun(found.upstream));
  const name = `stored-${++names}`;
  const object = env.CATALOGS.getByName(name);
  await runInDurableObject(object, (_catalog, { storage }) => {
    for (const statement of stored.schema) storage.sql.exec(statement);
    for (const [table, rows] of Object.entries(stored.tables)) {
      for (const row of rows) {
        const columns = Object.keys(row);
        const places = columns.map(() => "?").join(", ");
        storage.sql.exec(`INSERT INTO "${table}" (${columns.join(", ")}) VALUES (${places})`, ...Object.values(row));
      }
    }
    for (const [key, value] of Object.entries(stored.kv)) storage.kv.put(key, value);
  });
  await evictDurableObject(object);
  const rows = stored.tables.jobs ?? [];
  const isGone = ({ status }: Readonly<Record<string, string | number>>) => status === "gone";
  const entries = rows.filter((row) => !isGone(row)).map(({ entry }) => JSON.parse(String(entry)) as CatalogEntry);
  return { name, catalog: catalogStub(env, name), entries, gone: rows.filter(isGone).map(({ id }) => String(id)) };
}

async function listed(catalog: ReturnType<typeof catalogStub>): Promise<CatalogEntry[]> {
  const answer = await catalog.list(EVERYTHING);
  if (!answer.ok) throw new Error(answer.code);
  return answer.entries;
}

describe.each(Object.keys(files))("a catalog of %s", (file) => {
  it("lists the jobs that it kept, newest first", async () => {
    const { catalog, entries } = await restored(file);
    const newestFirst = entries.toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
    expect(newestFirst.length).toBeGreaterThan(5);
    expect(new Set(entries.map(({ status }) => status))).toEqual(
      new Set(["queued", "running", "succeeded", "failed", "canceled"]),
    );
    expect(await listed(catalog)).toMatchObject(newestFirst);
  });

  it("takes newer entries, ignores older ones, and keeps removed jobs removed", async () => {
    const { catalog, entries, gone } = await restored(file);
    const [known] = entries.filter(({ status }) => status === "running");
    const [lost] = gone;
    if (known === undefined || lost === undefined) throw new Error("no running and no removed job");
    await catalog.record({ ...known, status: "failed", done: true });
    expect((await listed(catalog)).find(({ id }) => id === known.id)).toMatchObject({ status: "running" });
    await catalog.record({ ...known, seq: known.seq + 1, status: "failed", done: true });
    await catalog.record({ ...known, id: lost });
    await catalog.forget(entries.find(({ status }) => status === "queued")?.id ?? "");
    const now = await listed(catalog);
    expect(now.find(({ id }) => id === known.id)).toMatchObject({ status: "failed" });
    expect(now.map(({ id }) => id)).not.toContain(lost);
    expect(now).toHaveLength(entries.length - 1);
  });

  it("counts its unfinished jobs and its reservations against the limit", async () => {
    const { catalog } = await restored(file);
    // Two unfinished jobs and three reserved submissions.
    expect(await catalog.reserve(1, 5)).toMatchObject({ granted: 0 });
    expect(await catalog.reserve(1, 6)).toMatchObject({ granted: 1 });
  });

  it("gives a watcher that resumes each job once, as it is now", async () => {
    const { catalog, entries, gone, name } = await restored(file);
    const watch = { mode: "ws", viewer: name, origin: "https://d.example", linkEndsAtMs: null, after: 0 } as const;
    const headers = watchHeaders(new Headers({ Upgrade: "websocket" }), watch);
    const { webSocket: socket } = await catalog.fetch(new Request("https://object/api/events", { headers }));
    if (socket === null) throw new Error("a watcher gets a socket");
    const frames: FeedFrame[] = [];
    const ready = Promise.withResolvers<void>();
    socket.addEventListener("message", ({ data }) => {
      const frame = FeedFrame.parse(JSON.parse(String(data)));
      if (frame.type === "ready") ready.resolve();
      else frames.push(frame);
    });
    socket.accept();
    await ready.promise;
    const ids = frames.map((frame) => (frame.type === "job" ? frame.job.id : frame.type === "deleted" ? frame.id : ""));
    expect(ids.toSorted()).toEqual([...entries.map(({ id }) => id), ...gone].toSorted());
    socket.close();
  });
});
