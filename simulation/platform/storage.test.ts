import { describe, expect, it } from "vitest";
import { SimStorage } from "./storage.ts";

/** A storage whose batches become durable when the test decides. */
function open() {
  const pending: (() => void)[] = [];
  const alarms: (number | null)[] = [];
  const storage = new SimStorage({
    flush: (durable) => pending.push(durable),
    alarmChanged: (atMs) => alarms.push(atMs),
  });
  const flush = () => pending.shift()?.();
  return { storage, alarms, flush };
}

const nextBatch = () => Promise.resolve();

describe("storage of a simulated object", () => {
  it("keeps after a crash only what was durable", async () => {
    const { storage, flush } = open();
    storage.kv.put("a", { n: 1 });
    await nextBatch();
    flush();
    storage.kv.put("a", { n: 2 });
    storage.kv.put("b", 3);
    storage.crash();
    expect([storage.kv.get("a"), storage.kv.get("b")]).toEqual([{ n: 1 }, undefined]);
  });

  it("makes writes with no await between them durable together", async () => {
    const { storage, flush } = open();
    storage.kv.put("record", 1);
    storage.setAlarm(5);
    await nextBatch();
    storage.kv.put("later", 1);
    await nextBatch();
    flush();
    storage.crash();
    expect([storage.kv.get("record"), storage.alarmAtMs, storage.kv.get("later")]).toEqual([1, 5, undefined]);
  });

  it("holds messages back until earlier writes are durable, and drops them in a crash", async () => {
    const { storage, flush } = open();
    const left: string[] = [];
    storage.gate(() => left.push("nothing was written"));
    storage.kv.put("a", 1);
    storage.gate(() => left.push("after a"));
    await nextBatch();
    storage.kv.put("b", 1);
    storage.gate(() => left.push("after b"));
    await nextBatch();
    expect(left).toEqual(["nothing was written"]);
    flush();
    expect(left).toEqual(["nothing was written", "after a"]);
    storage.crash();
    flush();
    expect(left).toEqual(["nothing was written", "after a"]);
  });

  it("keeps rows of a durable batch when the one after it is lost", async () => {
    const { storage, flush } = open();
    storage.sql.exec("CREATE TABLE jobs (id TEXT PRIMARY KEY)");
    storage.sql.exec("INSERT INTO jobs VALUES (?)", "a");
    await nextBatch();
    storage.sql.exec("INSERT INTO jobs VALUES (?)", "b");
    await nextBatch();
    flush();
    storage.crash();
    expect(storage.sql.exec("SELECT id FROM jobs").toArray()).toMatchObject([{ id: "a" }]);
  });

  it("undoes a transaction that throws, and keeps the writes before it", () => {
    const { storage } = open();
    storage.sql.exec("CREATE TABLE jobs (id TEXT)");
    storage.kv.put("a", 1);
    const broken = () =>
      storage.transactionSync(() => {
        storage.sql.exec("INSERT INTO jobs VALUES ('x')");
        storage.kv.put("a", 2);
        throw new Error("broken");
      });
    expect(broken).toThrow("broken");
    expect(storage.sql.exec("SELECT id FROM jobs").toArray()).toEqual([]);
    expect(storage.kv.get("a")).toBe(1);
  });

  it("is empty once the deletion of everything is durable", async () => {
    const { storage, flush } = open();
    storage.sql.exec("CREATE TABLE jobs (id TEXT)");
    storage.kv.put("a", 1);
    storage.setAlarm(1);
    await nextBatch();
    flush();
    expect(storage.isEmpty).toBe(false);
    storage.deleteAll();
    await nextBatch();
    flush();
    expect([storage.isEmpty, storage.alarmAtMs, storage.durableAlarmAtMs]).toEqual([true, null, null]);
  });

  it("copies stored values, and refuses values that cannot be cloned or are too large", () => {
    const { storage } = open();
    const value = { list: [1] };
    storage.kv.put("a", value);
    value.list.push(2);
    expect(storage.kv.get("a")).toEqual({ list: [1] });
    expect(() => storage.kv.put("f", () => undefined)).toThrow("could not be cloned");
    expect(() => storage.kv.put("big", "x".repeat(2_200_000))).toThrow("larger than");
  });
});
