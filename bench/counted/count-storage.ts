import { type Tally, wrote } from "./tally.ts";

/** Cursors whose rows may still be read: their counts are taken when the totals are read. */
const cursors: {
  readonly cursor: SqlStorageCursor<Record<string, SqlStorageValue>>;
  readonly statement: string;
  readonly tally: Tally;
}[] = [];

/** Adds the counts of the cursors. */
export function settleCursors(): void {
  for (const { cursor, statement, tally } of cursors.splice(0)) {
    tally.rowsRead += cursor.rowsRead;
    wrote(tally, statement, cursor.rowsWritten);
  }
}

/** Calls `count` before each call of a method of a runtime object; the method itself is unchanged. */
function before(target: object, name: string, count: (args: readonly unknown[]) => void): void {
  const real: unknown = Reflect.get(target, name);
  if (typeof real !== "function") throw new Error(`the runtime has no ${name}`);
  Object.defineProperty(target, name, {
    configurable: true,
    value: (...args: unknown[]) => {
      count(args);
      return Reflect.apply(real, target, args);
    },
  });
}

/** Counts what an object's storage reads and writes. */
export function countStorage(storage: DurableObjectStorage, tally: Tally): void {
  const read = () => {
    tally.rowsRead += 1;
  };
  for (const name of ["setAlarm", "deleteAlarm", "deleteAll"]) before(storage, name, () => wrote(tally, name, 1));
  for (const name of ["put", "delete"]) before(storage.kv, name, ([key]) => wrote(tally, `${name} ${key}`, 1));
  before(storage.kv, "get", read);
  before(storage.kv, "list", read);
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (query: string, ...binds: unknown[]) => {
      const cursor = exec(query, ...binds);
      cursors.push({ cursor, statement: query.trim().split(/\s+/, 4).join(" "), tally });
      return cursor;
    },
  });
}

const CLASS_A = ["put", "list", "createMultipartUpload"];
const CLASS_B = ["get", "head"];
const CLASS_A_OF_UPLOAD = ["uploadPart", "complete"];

/** Counts a bucket's operations by the classes that R2 bills; deleting is free. */
export function countBucket(bucket: R2Bucket, count: (kind: "A" | "B") => void): void {
  const prototype: object = Object.getPrototypeOf(bucket);
  for (const name of [...CLASS_A, ...CLASS_B]) {
    const real: unknown = Reflect.get(prototype, name);
    if (typeof real !== "function") throw new Error(`a bucket has no ${name}`);
    Object.defineProperty(prototype, name, {
      configurable: true,
      value(this: R2Bucket, ...args: unknown[]) {
        count(CLASS_A.includes(name) ? "A" : "B");
        const answer: unknown = Reflect.apply(real, this, args);
        return name === "createMultipartUpload" ? countUpload(answer as Promise<object>, count) : answer;
      },
    });
  }
}

async function countUpload(made: Promise<object>, count: (kind: "A") => void): Promise<object> {
  const upload = await made;
  for (const name of CLASS_A_OF_UPLOAD) before(upload, name, () => count("A"));
  return upload;
}
