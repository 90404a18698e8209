import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JobStatus, JobStatus as JobStatuses } from "../../schemas/job.ts";
import { WORKFLOWS } from "../../schemas/paths.ts";
import { foldText, searchWords } from "../../schemas/search-text.ts";
import { cases } from "../../test/support/properties.ts";
import { catalogStub } from "../stubs.ts";
import { catalogEntry, countingStorage, jobId } from "./catalog-entry.fixture.ts";
import { CatalogStore } from "./catalog-store.ts";
import type { CatalogEntry, CatalogRpc } from "./contract.ts";

let names = 0;
function newCatalog() {
  const name = `client-${++names}`;
  return { catalog: catalogStub(env, name), object: env.CATALOGS.getByName(name) };
}

async function ids(catalog: ReturnType<typeof catalogStub>, query: Partial<Parameters<typeof catalog.list>[0]> = {}) {
  const page = await catalog.list({ status: null, workflow: null, limit: 50, cursor: null, ...query });
  if (!page.ok) throw new Error(page.code);
  return page.entries.map(({ id }) => id);
}

describe("record", () => {
  it("takes a newer seq, and ignores the same or an older one", async () => {
    const { catalog } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, seq: 3, status: "running" }));
    await catalog.record(catalogEntry({ n: 1, seq: 2, status: "queued" }));
    await catalog.record(catalogEntry({ n: 1, seq: 3, status: "failed" }));
    expect(await ids(catalog, { status: ["running"] })).toEqual([jobId(1)]);
    await catalog.record(catalogEntry({ n: 1, seq: 4, status: "succeeded" }));
    expect(await ids(catalog, { status: ["running"] })).toEqual([]);
    expect(await ids(catalog, { status: ["succeeded"] })).toEqual([jobId(1)]);
  });

  it("takes the same seq with a newer revision, as after a pin, and stores it once", async () => {
    const { catalog } = newCatalog();
    const listed = async () => {
      const answer = await catalog.list({ status: null, workflow: null, limit: 10, cursor: null });
      if (!answer.ok) throw new Error(answer.code);
      return { pinned: answer.entries.map(({ pinned }) => pinned), feed: answer.feedCursor };
    };
    await catalog.record(catalogEntry({ n: 1, seq: 3 }));
    const before = await listed();
    await catalog.record({ ...catalogEntry({ n: 1, seq: 3 }), pinned: true, revision: 8 });
    const after = await listed();
    expect(after.pinned).toEqual([true]);
    expect(after.feed).toBeGreaterThan(before.feed);
    await catalog.record({ ...catalogEntry({ n: 1, seq: 3 }), pinned: false, revision: 7 });
    await catalog.record({ ...catalogEntry({ n: 1, seq: 3 }), pinned: true, revision: 8 });
    expect(await listed()).toEqual(after);
  });

  it("does not bring back a removed job, not even after an eviction, nor one whose first entry comes after its removal", async () => {
    const { catalog, object } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, seq: 1 }));
    await catalog.forget(jobId(1));
    await catalog.forget(jobId(2));
    await evictDurableObject(object);
    await catalog.record(catalogEntry({ n: 1, seq: 9 }));
    await catalog.record(catalogEntry({ n: 2, seq: 1 }));
    expect(await ids(catalog)).toEqual([]);
  });

  it("does not list a removed job again whose object's clock is ahead", async () => {
    const { catalog } = newCatalog();
    await catalog.forget(jobId(1));
    await catalog.record(catalogEntry({ n: 1, createdAtMs: Date.now() + 5_000 }));
    expect(await ids(catalog)).toEqual([]);
  });

  it("lists a job that was created after one of the same id was removed", async () => {
    const { catalog } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, status: "succeeded", seq: 5 }));
    await catalog.forget(jobId(1));
    const createdAtMs = Date.now() + 86_400_000;
    await catalog.record(catalogEntry({ n: 1, createdAtMs, workflow: "image-from-reference" }));
    const answer = await catalog.list({ status: null, workflow: "image-from-reference", limit: 10, cursor: null });
    expect(answer).toMatchObject({ ok: true, entries: [{ id: jobId(1), status: "queued", seq: 1 }] });
  });

  it("forgets removals after 30 days, a few at a time, and still gives each change a larger number", async () => {
    const { object } = newCatalog();
    await runInDurableObject(object, (_catalog, state) => {
      const dayMs = 86_400_000;
      const kept = () => state.storage.sql.exec<{ id: string }>("SELECT id FROM jobs ORDER BY id").toArray().length;
      const store = new CatalogStore(state.storage);
      for (let n = 0; n < 15; n++) store.forget(jobId(n), 1_000 + n);
      store.forget(jobId(20), 1_000 + 29 * dayMs);
      expect(kept()).toBe(16);
      store.forget(jobId(21), 2_000 + 30 * dayMs);
      expect(kept()).toBe(7);
      store.forget(jobId(22), 2_001 + 30 * dayMs);
      expect(kept()).toBe(3);
      const [last] = store.changes(0, 10).slice(-1);
      store.forget(jobId(23), 2_000 + 90 * dayMs);
      expect(new CatalogStore(state.storage).lastCursor()).toBeGreaterThan(last?.cursor ?? 0);
    });
  });

  it("writes at most 8 rows for a job that is queued, runs and ends", async () => {
    const { object } = newCatalog();
    const perJob = await runInDurableObject(object, (_catalog, state) => {
      const counted = countingStorage(state.storage);
      const store = new CatalogStore(counted.storage);
      store.record(catalogEntry({ n: 0 }), 1);
      const before = counted.rowsWritten();
      const jobs = 50;
      for (let n = 1; n <= jobs; n++) {
        store.record(catalogEntry({ n, seq: 1, status: "queued" }), n);
        store.record(catalogEntry({ n, seq: 2, status: "running" }), n);
        store.record(catalogEntry({ n, seq: 4, status: "succeeded" }), n);
      }
      return (counted.rowsWritten() - before) / jobs;
    });
    expect(perJob).toBeGreaterThan(0);
    expect(perJob).toBeLessThanOrEqual(8);
  });
});

describe("an unknown client's catalog", () => {
  it("answers and stores nothing", async () => {
    const { catalog, object } = newCatalog();
    expect(await ids(catalog)).toEqual([]);
    expect(await catalog.reserve(1, 0)).toMatchObject({ granted: 0 });
    const tables = await runInDurableObject(
      object,
      (_catalog, state) => state.storage.sql.exec("SELECT name FROM sqlite_master").toArray().length,
    );
    expect(tables).toBe(0);
  });
});

describe("list", () => {
  it("shows the newest first, and filters by statuses and workflow", async () => {
    const { catalog } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, status: "failed" }));
    await catalog.record(catalogEntry({ n: 2, status: "succeeded", workflow: "image-from-reference" }));
    await catalog.record(catalogEntry({ n: 3, status: "queued" }));
    await catalog.record(catalogEntry({ n: 4, status: "failed", workflow: "image-from-reference" }));
    expect(await ids(catalog)).toEqual([4, 3, 2, 1].map(jobId));
    expect(await ids(catalog, { status: ["failed", "queued"] })).toEqual([4, 3, 1].map(jobId));
    expect(await ids(catalog, { workflow: "image-from-reference" })).toEqual([4, 2].map(jobId));
    expect(await ids(catalog, { workflow: "image-from-reference", status: ["failed", "failed"] })).toEqual([jobId(4)]);
  });

  it("gives a cursor only when more follows, and refuses one that is not its own", async () => {
    const { catalog } = newCatalog();
    for (const n of [1, 2, 3]) await catalog.record(catalogEntry({ n }));
    const query = { status: null, workflow: null, cursor: null };
    expect(await catalog.list({ ...query, limit: 3 })).toMatchObject({ ok: true, nextCursor: null });
    expect(await catalog.list({ ...query, limit: 2 })).toMatchObject({ ok: true, nextCursor: expect.any(String) });
    expect(await catalog.list({ ...query, limit: 2, cursor: "nonsense" })).toEqual({
      ok: false,
      code: "invalid_cursor",
    });
  });

  it("pages through every job once while jobs change, are added and are removed between pages", async () => {
    const move = fc.record({
      n: fc.integer({ min: 0, max: 39 }),
      status: fc.constantFrom<JobStatus>(...JobStatuses.options),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(move, { maxLength: 30, size: "max" }),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 40, maxLength: 40, size: "max" }),
        async (moves, limit, createdAtMs) => {
          const { catalog } = newCatalog();
          let seq = 1;
          const entryOf = (n: number, status: JobStatus): CatalogEntry =>
            catalogEntry({
              n,
              status,
              seq: seq++,
              // Several jobs in one millisecond: their order must hold too.
              createdAtMs: 1_000_000 + (createdAtMs[n] ?? 0),
              workflow: n % 3 === 0 ? WORKFLOWS[1] : WORKFLOWS[0],
            });
          for (let n = 0; n < 40; n++) await catalog.record(entryOf(n, "queued"));
          const seen: string[] = [];
          let cursor: string | null = null;
          let newcomer = 100;
          do {
            const page = await catalog.list({ status: null, workflow: null, limit, cursor });
            if (!page.ok) throw new Error(page.code);
            seen.push(...page.entries.map(({ id }) => id));
            cursor = page.nextCursor;
            const next = moves.shift();
            if (next !== undefined) await catalog.record(entryOf(next.n, next.status));
            await catalog.record(catalogEntry({ n: newcomer++, createdAtMs: 2_000_000 }));
          } while (cursor !== null);
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.filter((id) => id < jobId(40)).length).toBe(40);
        },
      ),
      cases(15),
    );
  });

  it("reads no more index rows than it shows, however many jobs there are", async () => {
    const { object } = newCatalog();
    const read = await runInDurableObject(object, (_catalog, state) => {
      const counted = countingStorage(state.storage);
      const store = new CatalogStore(counted.storage);
      for (let n = 0; n < 2_000; n++) {
        store.record(catalogEntry({ n, status: n % 500 === 0 ? "failed" : "succeeded" }), n);
      }
      const before = counted.rowsRead();
      expect(store.list({ status: ["failed"], workflow: null }, null, 10).entries).toHaveLength(4);
      expect(store.changes(store.lastCursor() - 3, 10)).toHaveLength(3);
      return counted.rowsRead() - before;
    });
    expect(read).toBeLessThan(40);
  });
});

describe("a search", () => {
  const prompts: readonly (readonly [number, string])[] = [
    [1, "A red bicycle in the rain"],
    [2, "Café au lait, morning light"],
    [3, "一辆红色的自行车，雨中"],
    [4, "ｆｕｌｌ ｗｉｄｔｈ letters"],
    [5, "دراجة حمراء تحت المطر"],
    [6, `${"filler ".repeat(60)}lighthouse at the end`],
  ];

  async function filled() {
    const made = newCatalog();
    for (const [n, prompt] of prompts) {
      const searchText = foldText(prompt);
      await made.catalog.record(catalogEntry({ n, prompt: prompt.slice(0, 200), searchText, status: "succeeded" }));
    }
    return made.catalog;
  }

  it.each<[string, number[]]>([
    ["bicycle", [1]],
    ["RAIN red", [1]],
    ["cafe", [2]],
    ["CAFÉ Light", [2]],
    ["自行车", [3]],
    ["雨 红", [3]],
    ["full", [4]],
    ["دراجة", [5]],
    ["lighthouse", [6]],
    ["bicycle lighthouse", []],
    ["100%", []],
    ["_", []],
  ])("for %j finds %j", async (query, found) => {
    const catalog = await filled();
    expect(await ids(catalog, { words: searchWords(query) })).toEqual(found.map(jobId));
  });

  it("keeps a job's words over its later changes, and finds jobs of a table from before searches by the start of the prompt", async () => {
    const { catalog, object } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, prompt: "a bell", searchText: "a bell tower", seq: 1 }));
    await catalog.record(catalogEntry({ n: 1, prompt: "a bell", seq: 2, status: "succeeded" }));
    expect(await ids(catalog, { words: ["tower"] })).toEqual([jobId(1)]);
    await runInDurableObject(object, (_catalog, { storage }) =>
      storage.sql.exec("ALTER TABLE jobs DROP COLUMN search"),
    );
    await evictDurableObject(object);
    expect(await ids(catalog, { words: ["bell"] })).toEqual([jobId(1)]);
    await catalog.record(catalogEntry({ n: 2, prompt: "a bell", searchText: "a bell tower" }));
    expect(await ids(catalog, { words: ["tower"] })).toEqual([jobId(2)]);
  });
});

describe("a search of a long list", () => {
  it("reads a bounded number of jobs at once, continues from there, and counts the newest", async () => {
    const { catalog, object } = newCatalog();
    await runInDurableObject(object, (_catalog, state) => {
      const store = new CatalogStore(state.storage);
      for (let n = 0; n < 2_100; n++) {
        const prompt = n === 3 ? "a needle" : "hay";
        store.record(catalogEntry({ n, prompt, status: "succeeded" }), n);
      }
    });
    const pages: number[] = [];
    let cursor: string | null = null;
    let found: string[] = [];
    do {
      const page: Awaited<ReturnType<typeof catalog.list>> = await catalog.list({
        status: null,
        workflow: null,
        limit: 20,
        cursor,
        words: ["needle"],
      });
      if (!page.ok) throw new Error(page.code);
      pages.push(page.entries.length);
      found = [...found, ...page.entries.map(({ id }) => id)];
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(found).toEqual([jobId(3)]);
    expect(pages).toEqual([0, 0, 1]);
    expect(await catalog.count({ status: null, workflow: null })).toMatchObject({
      isAll: false,
      status: { succeeded: 2_000 },
    });
  });
});

describe("filters and counts", () => {
  async function filled() {
    const { catalog } = newCatalog();
    const at = Date.UTC(2026, 10, 23, 12);
    const entries = [
      catalogEntry({ n: 1, status: "succeeded", metadata: { campaign: "autumn", take: 1 }, createdAtMs: at + 1 }),
      catalogEntry({ n: 2, status: "succeeded", metadata: { campaign: "autumn", draft: true }, createdAtMs: at + 2 }),
      catalogEntry({
        n: 3,
        status: "failed",
        model: "wan2.6-t2i",
        metadata: { campaign: "spring" },
        createdAtMs: at + 3,
      }),
      catalogEntry({ n: 4, status: "queued", model: "wan2.6-t2i", createdAtMs: at + 4 }),
    ];
    await catalog.recordAll(entries);
    return { catalog, at };
  }

  it("narrow the list to pinned jobs, or to those that are not pinned", async () => {
    const { catalog, at } = await filled();
    const old = catalogEntry({ n: 5, createdAtMs: at + 5 });
    const { pinned: _absent, ...ofAnEarlierVersion } = old;
    await catalog.recordAll([ofAnEarlierVersion, { ...catalogEntry({ n: 6, createdAtMs: at + 6 }), pinned: true }]);
    expect(await ids(catalog, { pinned: true })).toEqual([jobId(6)]);
    expect(await ids(catalog, { pinned: false })).toEqual([5, 4, 3, 2, 1].map(jobId));
    expect(await ids(catalog, { pinned: null })).toEqual([6, 5, 4, 3, 2, 1].map(jobId));
  });

  it("narrow the list by model, time and metadata, all of which must match", async () => {
    const { catalog, at } = await filled();
    expect(await ids(catalog, { model: "wan2.6-t2i" })).toEqual([4, 3].map(jobId));
    expect(await ids(catalog, { beforeMs: at + 3 })).toEqual([2, 1].map(jobId));
    expect(await ids(catalog, { metadata: [{ key: "campaign", value: "autumn" }] })).toEqual([2, 1].map(jobId));
    expect(await ids(catalog, { metadata: [{ key: "take", value: "1" }] })).toEqual([jobId(1)]);
    expect(await ids(catalog, { metadata: [{ key: "draft", value: "true" }] })).toEqual([jobId(2)]);
    const both = [
      { key: "campaign", value: "autumn" },
      { key: "draft", value: "true" },
    ];
    expect(await ids(catalog, { metadata: both })).toEqual([jobId(2)]);
    expect(await ids(catalog, { metadata: [{ key: "campaign", value: "winter" }] })).toEqual([]);
  });

  it("hold over all pages", async () => {
    const { catalog } = await filled();
    const first = await catalog.list({ status: null, workflow: null, limit: 1, cursor: null, model: "wan2.6-t2i" });
    if (!first.ok) throw new Error(first.code);
    expect(first.entries.map(({ id }) => id)).toEqual([jobId(4)]);
    expect(await ids(catalog, { model: "wan2.6-t2i", cursor: first.nextCursor })).toEqual([jobId(3)]);
  });

  it("are counted, each kind under all filters but its own", async () => {
    const { catalog } = await filled();
    expect(await catalog.count({ status: null, workflow: null })).toEqual({
      isAll: true,
      status: { queued: 1, running: 0, retrying: 0, succeeded: 2, failed: 1, canceled: 0 },
      models: [
        { model: "qwen-image-max", jobs: 2 },
        { model: "wan2.6-t2i", jobs: 2 },
      ],
      metadata: [
        { key: "campaign", value: "autumn", jobs: 2 },
        { key: "campaign", value: "spring", jobs: 1 },
        { key: "draft", value: "true", jobs: 1 },
        { key: "take", value: "1", jobs: 1 },
      ],
    });
    expect(await catalog.count({ status: ["failed"], workflow: null, model: "wan2.6-t2i" })).toMatchObject({
      status: { queued: 1, failed: 1, succeeded: 0 },
      models: [{ model: "wan2.6-t2i", jobs: 1 }],
      metadata: [{ key: "campaign", value: "spring", jobs: 1 }],
    });
    const { catalog: empty } = newCatalog();
    expect(await empty.count({ status: null, workflow: null })).toMatchObject({ models: [], metadata: [] });
  });
});

describe("reserve", () => {
  it("counts unfinished jobs and reservations against the limit, also after a crash", async () => {
    const { catalog, object } = newCatalog();
    for (const n of [1, 2, 3]) await catalog.record(catalogEntry({ n, status: n === 1 ? "succeeded" : "running" }));
    expect(await catalog.reserve(1, 3)).toMatchObject({ granted: 1 });
    await evictDurableObject(object);
    expect(await catalog.reserve(1, 3)).toMatchObject({ granted: 0 });
    await catalog.record(catalogEntry({ n: 4, status: "queued", createdAtMs: Date.now() }));
    expect(await catalog.reserve(1, 3)).toMatchObject({ granted: 0 });
    await catalog.record(catalogEntry({ n: 2, status: "canceled", seq: 2 }));
    expect(await catalog.reserve(1, 3)).toMatchObject({ granted: 1 });
  });

  it("frees the place of a job that is forgotten or finished", async () => {
    const { catalog } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, status: "queued" }));
    await catalog.record(catalogEntry({ n: 2, status: "retrying" }));
    await catalog.forget(jobId(1));
    await catalog.record(catalogEntry({ n: 2, status: "failed", seq: 2 }));
    expect(await catalog.reserve(1, 1)).toMatchObject({ granted: 1 });
    const retriedAt = new Date().toISOString();
    await catalog.record(catalogEntry({ n: 2, status: "queued", seq: 3, updatedAt: retriedAt }));
    expect(await catalog.reserve(1, 1)).toMatchObject({ granted: 0 });
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 1 });
  });
});

describe("a pause of a client", () => {
  const PAUSE = { reason: "an unpaid bill", sinceMs: 0, untilMs: null };

  it("changes nothing when it is carried out after a later resume, also after a restart of its object", async () => {
    const { catalog, object } = newCatalog();
    await catalog.pause(null, 2);
    await evictDurableObject(object);
    await catalog.pause(PAUSE, 1);
    expect(await catalog.reserve(1, 1)).toMatchObject({ granted: 1 });
    await catalog.pause(PAUSE, 3);
    await catalog.pause(null, 2);
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 0, paused: PAUSE });
    // The previous version does not say when its command was given.
    await catalog.pause(null);
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 1 });
  });
});

describe("a job that is deleted before its first entry", () => {
  it("uses up its reservation", async () => {
    const { catalog } = newCatalog();
    expect(await catalog.reserve(1, 1)).toMatchObject({ granted: 1 });
    await catalog.forget(jobId(1));
    expect(await catalog.reserve(1, 1)).toMatchObject({ granted: 1 });
  });
});

describe("a late entry or removal", () => {
  const longAgoMs = () => Date.now() - 60_000;

  it.each<[string, (catalog: Pick<CatalogRpc, "record" | "forget">) => Promise<void>, number]>([
    ["a new job's", (catalog) => catalog.record(catalogEntry({ n: 1, createdAtMs: longAgoMs() })), 1],
    ["a retried job's", (catalog) => catalog.record(catalogEntry({ n: 2, seq: 2, createdAtMs: longAgoMs() })), 1],
    ["a removed job's", (catalog) => catalog.forget(jobId(3), null, longAgoMs()), 0],
  ])("does not use up the reservation of another submission: %s", async (_whose, arrives, unfinished) => {
    const { catalog } = newCatalog();
    await catalog.record(catalogEntry({ n: 2, status: "canceled" }));
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 1 });
    await arrives(catalog);
    expect(await catalog.reserve(2 - unfinished, 2, 2 - unfinished)).toMatchObject({ granted: 0 });
  });
});

describe("a retry by hand", () => {
  it("uses up a reservation, as a new job does", async () => {
    const { catalog } = newCatalog();
    await catalog.record(catalogEntry({ n: 1, status: "canceled" }));
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 1 });
    await catalog.record(catalogEntry({ n: 1, status: "queued", seq: 2, updatedAt: new Date().toISOString() }));
    // One job is unfinished and nothing is reserved any more, so there is room for another.
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 1 });
    expect(await catalog.reserve(1, 2)).toMatchObject({ granted: 0 });
  });
});
