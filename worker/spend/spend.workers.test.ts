import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Job, JobList } from "../../schemas/job.ts";
import { Limits } from "../../schemas/limits.ts";
import { Problem } from "../../schemas/problem.ts";
import { Usage } from "../../schemas/usage.ts";
import { emulatorControl } from "../../test/support/control.ts";
import { until } from "../../test/support/until.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { BudgetAlert } from "../catalog/budget-alert.ts";
import { catalogEntry, countingStorage, jobId } from "../catalog/catalog-entry.fixture.ts";
import { CatalogStore } from "../catalog/catalog-store.ts";
import { SpendBooks } from "../catalog/spend-books.ts";
import { compatApp } from "../compat/app.ts";
import { namespaceWith, send } from "../http/http.fixture.ts";
import { EDIT_MODEL, SYNC_MODEL, TASK_MODEL, type TestJob, testJob, withoutJitter } from "../job/job.fixture.ts";
import { framedPng } from "../results/image.fixture.ts";
import { catalogStub, newJobId } from "../stubs.ts";
import { Ledger } from "./core/ledger.ts";
import { dayOf } from "./core/money.ts";
import { budgetReport } from "./prices.ts";

const ORIGIN = "http://localhost:8787";
/** Per image of `SYNC_MODEL` and of `TASK_MODEL` in Singapore, in millionths. */
const UNIT = 15_000;
const TASK_UNIT = 30_000;
const PRICE = { currency: "USD", unitMicros: UNIT };

beforeEach(withoutJitter);
afterEach(() => {
  vi.restoreAllMocks();
});

let clients = 0;

/** A job of a client of its own without a limit, or of one with a limit whose catalog has reserved its first attempt. */
async function pricedJob(given: Parameters<typeof testJob>[0] = {}, limited: string | null = null): Promise<TestJob> {
  clients += 1;
  const job = testJob(given);
  const unitMicros = job.submission.model === TASK_MODEL ? TASK_UNIT : UNIT;
  const client = limited ?? `free-${clients}`;
  const price = { ...PRICE, unitMicros };
  Object.assign(job.submission, { client, price });
  if (limited !== null) {
    const untilMs = Date.now() + 60_000;
    const micros = job.submission.request.n * unitMicros;
    const budget = JSON.parse(env.CLIENT_BUDGETS)[limited];
    const asked = { jobId: job.id, micros, untilMs };
    const answer = await catalogStub(env, limited).reserveFirst(asked, { alertAt: 1, ...budget, currency: "USD" }, 200);
    expect(answer.result).toBe("granted");
    Object.assign(job.submission, { grantUntilMs: untilMs });
  }
  return job;
}

const TODAY = () => dayOf(Date.now());
/** A range that also holds for a test that begins before midnight. */
const SINCE = "2026-01-01";
const UNTIL = "2999-12-31";

/** What the job's client spent, as its list has booked it. */
async function books(job: TestJob) {
  const { client } = job.submission;
  const { rows, totals } = await catalogStub(env, client).usage(SINCE, UNTIL);
  return { rows, totals };
}

/** Whether the list holds the job's tombstone. */
function isGone(storage: DurableObjectStorage, jobId: string): boolean {
  return storage.sql.exec("SELECT 1 FROM jobs WHERE id = ? AND status = 'gone'", jobId).toArray().length > 0;
}

async function settled(job: TestJob, expected: object) {
  await expect.poll(async () => (await books(job)).rows).toEqual([expect.objectContaining(expected)]);
  return await books(job);
}

describe("a job's cost", () => {
  it("is what upstream delivered, also when that is fewer images than requested", async () => {
    const job = await pricedJob({ model: TASK_MODEL, n: 3 });
    await job.spoil({ fault: { type: "task-partial", failed: 1 } });
    await job.submit();
    const { cost } = await job.done();
    const { billed } = await job.ledger();
    expect(cost).toEqual({ currency: "USD", estimated: 0.09, charged: (billed.length * TASK_UNIT) / 1e6, atRisk: 0 });
    await settled(job, { jobs: 1, images: billed.length, chargedMicros: billed.length * TASK_UNIT, atRiskMicros: 0 });
  });

  it("holds an attempt without an answer at risk, and charges its late answer", async () => {
    const job = await pricedJob({ maxAttempts: 1 });
    await job.spoil({ fault: { type: "hold", at: "answer" } });
    await job.submit();
    await job.held();
    const late = await job.until("past its budget", ({ attempts }) => attempts[0]?.outcome === "timed_out");
    expect(late.cost).toMatchObject({ charged: 0, atRisk: 0.015 });
    await settled(job, { chargedMicros: 0, atRiskMicros: UNIT });
    await job.release();
    expect((await job.done()).cost).toMatchObject({ charged: 0.015, atRisk: 0 });
    await settled(job, { images: 1, chargedMicros: UNIT, atRiskMicros: 0 });
  });

  it("holds a call that was canceled in flight at risk", async () => {
    const job = await pricedJob();
    await job.spoil({ fault: { type: "hold", at: "answer" } });
    await job.submit();
    await job.held();
    await job.rpc.cancel(null);
    expect((await job.view()).cost).toMatchObject({ charged: 0, atRisk: 0.015 });
    await settled(job, { chargedMicros: 0, atRiskMicros: UNIT });
    await job.release();
  });

  it("is free again once upstream has canceled the task of a canceled job before it began", async () => {
    const job = await pricedJob({ model: TASK_MODEL });
    await job.spoil({ fault: { type: "task-stuck", status: "PENDING" } });
    await job.submit();
    await job.until("its task", ({ attempts }) => typeof attempts[0]?.upstream.taskId === "string");
    await job.rpc.cancel(null);
    const { attempts } = await until("the canceled task", async () => {
      const view = await job.view();
      return view.cost?.atRisk === 0 ? view : undefined;
    });
    expect(attempts).toMatchObject([{ outcome: "canceled", mayBeBilled: false }]);
    const { rows, totals } = await until("the amounts in the books", async () => {
      const known = await books(job);
      return known.rows.length === 0 ? known : undefined;
    });
    expect([rows, totals.atRiskMicros, totals.reservedMicros]).toEqual([[], 0, 0]);
    expect((await job.ledger()).billed).toEqual([]);
  });

  it("is booked once for a task that later attempts resume", async () => {
    const job = await pricedJob({ model: TASK_MODEL });
    await job.spoil({ fault: { type: "slow", extraMs: 3_000 } });
    await job.submit();
    const { attempts, cost } = await job.done();
    expect(attempts.length).toBeGreaterThan(1);
    expect(cost).toMatchObject({ charged: 0.03, atRisk: 0 });
    await settled(job, { jobs: 1, images: 1, chargedMicros: TASK_UNIT, atRiskMicros: 0 });
    expect((await job.ledger()).billed).toHaveLength(1);
  });

  it("stays in the books when the job is deleted, once", async () => {
    const job = await pricedJob();
    await job.submit();
    await job.done();
    await job.rpc.remove(null);
    await settled(job, { jobs: 1, images: 1, chargedMicros: UNIT });
    await expect
      .poll(async () => catalogStub(env, job.submission.client).count({ status: null, workflow: null }))
      .toMatchObject({ models: [] });
    await settled(job, { jobs: 1, images: 1, chargedMicros: UNIT });
  });

  it("writes one row of its client's catalog, or three with a limit, and stores no reservation without one", async () => {
    const job = await pricedJob();
    await job.submit();
    await job.done();
    await settled(job, { jobs: 1 });
    const { client } = job.submission;
    const stored = await runInDurableObject(env.CATALOGS.getByName(client), (_catalog, { storage }) => {
      const { rowsWritten, storage: counted } = countingStorage(storage);
      const books = new SpendBooks(counted, new CatalogStore(storage));
      const row = { day: TODAY(), model: SYNC_MODEL, jobs: 1, images: 1, chargedMicros: UNIT, atRiskMicros: 0 };
      books.add(row);
      const { rows, grants } = { rows: rowsWritten(), grants: books.grants() };
      // With a limit: the grant, its end, and the row. Each write of the grants writes one row.
      const grantsStored = vi.spyOn(books, "putGrants");
      const ledger = new Ledger(books);
      const grant = { jobId: "job_limited", number: 1, micros: UNIT, seq: 0, untilMs: Date.now() + 60_000 };
      ledger.reserve(grant, UNIT * 100, Date.now());
      const { day, ...spent } = row;
      const position = { grants: 1, reservedMicros: 0, days: [{ ...spent, day }] };
      ledger.settle("job_limited", SYNC_MODEL, { seq: 1, isDone: true, position });
      return { rows, grants, limited: rowsWritten() - rows + grantsStored.mock.calls.length };
    });
    expect(stored).toEqual({ rows: 1, grants: [], limited: 3 });
  });
});

describe("an entry without money, as an older version writes it after a rollback", () => {
  it("leaves what is booked and reserved, and the next entry with money books only the difference", async () => {
    const catalog = catalogStub(env, "rolled-back-version");
    const spend = (images: number) => {
      const day = { day: TODAY(), images, chargedMicros: images * UNIT, atRiskMicros: 0 };
      return { model: SYNC_MODEL, spend: { grants: 2, reservedMicros: UNIT, days: [day] } };
    };
    const used = async () => await catalog.usage(SINCE, UNTIL);
    await catalog.record({ ...catalogEntry({ n: 1, seq: 2, status: "running" }), ...spend(1) });
    const before = await used();
    expect(before).toMatchObject({ rows: [{ images: 1 }], totals: { reservedMicros: UNIT } });
    await catalog.record({ ...catalogEntry({ n: 1, seq: 3, status: "running" }), model: SYNC_MODEL });
    expect(await used()).toEqual(before);
    await catalog.record({ ...catalogEntry({ n: 1, seq: 4, status: "succeeded" }), ...spend(2) });
    const { rows, totals } = await used();
    expect(rows).toMatchObject([{ jobs: 1, images: 2, chargedMicros: 2 * UNIT }]);
    expect(totals.reservedMicros).toBe(0);
  });
});

describe("a write of the catalog that fails", () => {
  it("books nothing, so that its repetition books once", async () => {
    const client = "rolled-back";
    const [catalog, object] = [catalogStub(env, client), env.CATALOGS.getByName(client)];
    const day = { day: TODAY(), images: 1, chargedMicros: UNIT, atRiskMicros: 0 };
    const spent = { model: SYNC_MODEL, spend: { grants: 1, reservedMicros: 0, days: [day] } };
    const asked = { jobId: jobId(1), micros: UNIT, untilMs: Date.now() + 60_000 };
    await catalog.reserveFirst(asked, { monthly: 1, alertAt: 1, currency: "USD" }, 200);
    const used = async () => await catalog.usage(SINCE, UNTIL);
    const before = await used();
    // As with a full disk: the row of the list cannot be written, the row of the ledger can.
    const whileFull = async (write: () => Promise<void>) => {
      await runInDurableObject(object, (_, { storage }) => {
        storage.sql.exec(
          "CREATE TRIGGER full BEFORE INSERT ON jobs WHEN NEW.seq <> 1 BEGIN SELECT RAISE(ABORT, 'full'); END",
        );
      });
      const failed = await write().catch(String);
      expect(failed).toContain("full");
      await runInDurableObject(object, (_, { storage }) => {
        storage.sql.exec("DROP TRIGGER full");
      });
    };
    await catalog.record(catalogEntry({ n: 2 }));
    const done = { ...catalogEntry({ n: 1, seq: 3, status: "succeeded" }), ...spent };
    await whileFull(() => catalog.record(done));
    expect(await used()).toEqual(before);
    await catalog.record(done);
    const booked = await used();
    expect(booked).toMatchObject({ rows: [{ jobs: 1, chargedMicros: UNIT }], totals: { reservedMicros: 0 } });
    const last = {
      seq: 4,
      ...spent,
      spend: { ...spent.spend, days: [{ ...day, images: 2, chargedMicros: 2 * UNIT }] },
    };
    await whileFull(() => catalog.forget(jobId(1), last));
    expect(await used()).toEqual(booked);
    await catalog.forget(jobId(1), last);
    expect((await used()).rows).toMatchObject([{ jobs: 1, images: 2, chargedMicros: 2 * UNIT }]);
  });
});

describe("a spend limit", () => {
  it("ends a job that cannot pay for another attempt, and says what may have been paid", async () => {
    const job = await pricedJob({}, "spends-1");
    await job.spoil({ fault: { type: "cut-after-billing" }, times: null });
    await job.submit();
    const { error, cost, attempts } = await job.done();
    expect(attempts).toHaveLength(1);
    expect(error).toMatchObject({ code: "budget_exceeded", message: expect.stringContaining("0.015 USD") });
    expect(cost).toMatchObject({ charged: 0, atRisk: 0.015 });
    const { totals } = await settled(job, { atRiskMicros: UNIT });
    expect(totals).toEqual({ chargedMicros: 0, reservedMicros: 0, atRiskMicros: UNIT });
    const retried = await job.rpc.retry(null);
    expect(retried).toMatchObject({
      ok: false,
      code: "budget_exceeded",
      spend: { limitMicros: UNIT, atRiskMicros: UNIT },
    });
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("lets a job repeat while there is room, and settles what it had reserved", async () => {
    const job = await pricedJob({}, "spends-2");
    await job.spoil({ fault: { type: "cut-after-billing" } });
    await job.submit();
    const { status, cost } = await job.done();
    expect({ status, cost }).toEqual({
      status: "succeeded",
      cost: { currency: "USD", estimated: 0.015, charged: 0.015, atRisk: 0.015 },
    });
    const { totals } = await settled(job, { chargedMicros: UNIT, atRiskMicros: UNIT });
    expect(totals.reservedMicros).toBe(0);
  });

  it("lets a retry by hand begin with a reservation of its own", async () => {
    const job = await pricedJob({}, "spends-some");
    await job.spoil({ fault: { type: "hold", at: "answer" } });
    await job.submit();
    await job.held();
    await job.rpc.cancel(null);
    await job.release();
    const retried = await job.rpc.retry(null);
    expect(retried.ok).toBe(true);
    expect(await job.done()).toMatchObject({ status: "succeeded", cost: { charged: 0.015, atRisk: 0.015 } });
    const { totals } = await settled(job, { chargedMicros: UNIT, atRiskMicros: UNIT });
    expect(totals.reservedMicros).toBe(0);
  });

  it("frees the money of a retry by hand that was never made, and of a key whose job is removed", async () => {
    const job = await pricedJob({}, "spends-some");
    await job.spoil({ fault: { type: "hold", at: "arrival" } });
    await job.submit();
    await job.held();
    await job.rpc.cancel(null);
    await job.release();
    const { seq } = await job.view();
    const { client } = job.submission;
    const reserved = async () => (await catalogStub(env, client).usage(SINCE, UNTIL)).totals.reservedMicros;
    await expect.poll(reserved).toBe(0);
    const budget = { monthly: 1_000, alertAt: 1, currency: "USD" };
    const overdue = Date.now() - 10_000;
    const catalog = catalogStub(env, client);
    // The catalog's answer was lost, and the client did not ask again.
    await catalog.reserveAgain({ jobId: job.id, number: 2, micros: UNIT, seq, untilMs: overdue }, budget);
    // A job whose tombstone the list no longer has, and whose object answers 410.
    const removed = testJob();
    Object.assign(removed.submission, { client, price: PRICE });
    await removed.spoil({ fault: { type: "hold", at: "arrival" } });
    await removed.submit();
    await removed.rpc.remove(null);
    await removed.release();
    const object = env.CATALOGS.getByName(client);
    await expect.poll(() => runInDurableObject(object, (_, { storage }) => isGone(storage, removed.id))).toBe(true);
    await runInDurableObject(object, (_, { storage }) => {
      storage.sql.exec("DELETE FROM jobs WHERE id = ?", removed.id);
    });
    await catalog.reserveFirst({ jobId: removed.id, micros: UNIT, untilMs: overdue }, budget, 200);
    expect(await reserved()).toBe(2 * UNIT);
    await runInDurableObject(object, (_, { storage }) => storage.setAlarm(Date.now() + 60_000));
    await runDurableObjectAlarm(object);
    await expect.poll(reserved).toBe(0);
  });

  it("does not hide from a retry that its job was removed while the catalog was asked", async () => {
    const job = await pricedJob({}, "spends-some");
    await job.submit();
    await job.rpc.cancel(null);
    const [retried, removed] = await runInDurableObject(job.object, (object) =>
      // The retry waits for the catalog when the removal begins.
      Promise.all([object.retry(null), object.remove(null)]),
    );
    expect({ retried, removed }).toEqual({ retried: { ok: false, code: "job_gone" }, removed: { ok: true } });
  });

  it("refuses the retry of a job whose price is not known", async () => {
    const job = testJob();
    Object.assign(job.submission, { client: "spends-some" });
    await job.submit();
    await job.rpc.cancel(null);
    expect(await job.rpc.retry(null)).toEqual({ ok: false, code: "price_unknown", model: SYNC_MODEL });
  });

  it("ends a job whose price is not known and does not repeat it", async () => {
    const job = testJob();
    Object.assign(job.submission, { client: "spends-some", price: { ...PRICE, unitMicros: null } });
    await job.spoil({ fault: { type: "cut-after-billing" }, times: null });
    await job.submit();
    const { error } = await job.done();
    expect(error).toMatchObject({ code: "budget_exceeded", message: expect.stringContaining("PRICES") });
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("makes no job after its reservation has ended", async () => {
    const job = testJob();
    Object.assign(job.submission, { client: "spends-some", price: PRICE, grantUntilMs: Date.now() - 1 });
    expect(await job.rpc.submit(job.submission)).toEqual({ ok: false, code: "grant_expired" });
    expect(await job.rpc.view(null)).toMatchObject({ ok: false, code: "job_not_found" });
  });
});

const TOKEN = "a-token-for-the-tests-of-spend";

/** The API for one client, by a token. */
function api(
  client: string,
  path: string,
  init: RequestInit & { readonly headers?: Record<string, string> } = {},
  more: object = {},
) {
  const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers };
  const bindings = {
    AUTH_MODE: "token",
    CLIENT_TOKENS: JSON.stringify({ [client]: sha256Hex(TOKEN) }),
    SIGNING_SECRET: "a secret of the tests of spend",
    MAX_PENDING_JOBS: "1000",
    ...more,
  };
  const url = `${ORIGIN}${path}`;
  return send(new Request(url, { ...init, headers }), bindings, compatApp(url) ?? undefined);
}

const dataUrl = (bytes: Uint8Array) => `data:image/png;base64,${bytes.toBase64()}`;

function submit(
  client: string,
  body: object = {},
  path = "/api/workflows/image-from-text",
  headers = {},
  bindings: object = {},
) {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ prompt: "a red bicycle", model: SYNC_MODEL, ...body }),
  };
  return api(client, path, init, bindings);
}

/** What a client has used of its limit, reserved included. */
async function usedOf(client: string): Promise<number> {
  const { budget } = Usage.parse(await (await api(client, "/api/usage").answer).json());
  return (budget?.charged ?? 0) + (budget?.reserved ?? 0) + (budget?.atRisk ?? 0);
}

describe("a client's alert", () => {
  const BUDGET = { monthly: 10 * (UNIT / 1_000_000), alertAt: 0.5, currency: "USD" };

  it("is logged once a month, when what is used first reaches alertAt", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const lines = () =>
      log.mock.calls
        .map(([line]) => String(line))
        .filter((line) => line.includes("budget_alert") && line.includes("alerts-once"));
    const catalog = catalogStub(env, "alerts-once");
    const untilMs = Date.now() + 60_000;
    for (let n = 1; n <= 10; n++) {
      const asked = { jobId: `job_of-an-alert-${n}-${"x".repeat(10)}`, micros: UNIT, untilMs };
      const answer = await catalog.reserveFirst(asked, BUDGET, 200);
      expect(answer).toMatchObject({ result: "granted", alert: n < 5 ? null : { limitMicros: 10 * UNIT } });
      expect(lines()).toHaveLength(n < 5 ? 0 : 1);
    }
    expect(JSON.parse(lines()[0] ?? "")).toMatchObject({
      event: "budget_alert",
      client: "alerts-once",
      currency: "USD",
      limit: BUDGET.monthly,
      alertAt: 0.5,
      reserved: 5 * (UNIT / 1_000_000),
    });
  });

  it("is raised again in the next month, and not after a restart", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const lines = () => log.mock.calls.filter(([line]) => String(line).includes("budget_alert")).length;
    const report = (month: number) => {
      const atMs = Date.UTC(2026, month, 15);
      const totals = { chargedMicros: 5 * UNIT, reservedMicros: 0, atRiskMicros: 0 };
      return [budgetReport("alerts-monthly", BUDGET, totals, atMs), "USD", atMs] as const;
    };
    const raised = await runInDurableObject(env.CATALOGS.getByName("alerts-monthly"), (_, { storage }) =>
      [10, 10, 11, 11].map((month) => {
        // A new instance each time knows only what is stored.
        const host = { client: "alerts-monthly", arm: () => undefined, count: () => undefined };
        new BudgetAlert(env, storage, host).raise(...report(month));
        return lines();
      }),
    );
    expect(raised).toEqual([1, 1, 2, 2]);
  });
});

describe("a client's alert that is not delivered when the next month's is raised", () => {
  const BUDGET = { monthly: 1, alertAt: 0.5, currency: "USD" };

  it("is still tried beside that one, also after a restart", async () => {
    const client = "alerts-of-two-months";
    // The emulator takes no webhooks: each try fails, and is repeated.
    const settings = { ...env, CLIENT_WEBHOOKS: JSON.stringify({ [client]: `${env.QWEN_BASE_URL}/no-receiver` }) };
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const tries = () =>
      log.mock.calls.map(([line]) => JSON.parse(String(line))).filter(({ event }) => event === "webhook_tried").length;
    const totals = { chargedMicros: UNIT, reservedMicros: 0, atRiskMicros: 0 };
    await runInDurableObject(env.CATALOGS.getByName(client), async (_, { storage }) => {
      const armed: number[] = [];
      // A new instance each time knows only what is stored.
      const alert = () =>
        new BudgetAlert(settings, storage, { client, arm: (atMs) => armed.push(atMs), count: () => undefined });
      // Long ago, so that the repetition of a try that fails now is due later than that.
      const [november, december] = [Date.UTC(2020, 10, 30), Date.UTC(2020, 11, 1)];
      for (const atMs of [november, december]) alert().raise(budgetReport(client, BUDGET, totals, atMs), "USD", atMs);
      await alert().pump(december);
      expect(tries()).toBe(1);
      expect(armed).toContain(december);
      await alert().pump(december);
      expect(tries()).toBe(2);
      armed.length = 0;
      await alert().pump(december);
      expect(tries()).toBe(2);
      // Both alerts have another try due.
      expect(armed.filter((atMs) => atMs > december)).toHaveLength(2);
    });
  });
});

describe("the API", () => {
  it.each([
    ["an uploaded image", dataUrl(framedPng(512, 512, 400, 1))],
    ["an image's address", "https://images.example.com/a.png"],
  ])("makes the next job of a key whose removed job only the catalog remembers, with %s", async (_what, image) => {
    const client = `spends-${crypto.randomUUID()}`;
    const [first, second] = [0, 1].map((generation) => newJobId(env.JOBS, client, "report", generation));
    await catalogStub(env, client).forget(first ?? "");
    const path = "/api/workflows/image-from-reference";
    const budget = { CLIENT_BUDGETS: JSON.stringify({ [client]: { monthly: 3 } }) };
    const { answer, settled } = submit(
      client,
      { model: EDIT_MODEL, images: [image] },
      path,
      { "idempotency-key": "report" },
      budget,
    );
    expect([(await answer).status, Job.parse(await (await answer).json()).id]).toEqual([202, second]);
    await settled();
  });

  it("reserves exactly what the limit has room for, of 500 submissions at once", async () => {
    const sent = Array.from({ length: 500 }, (_, n) => submit("spends-100", { prompt: `burst ${n}` }));
    const answers = await Promise.all(sent.map(({ answer }) => answer));
    const accepted = answers.filter(({ status }) => status === 202);
    const refused = answers.filter(({ status }) => status === 402);
    expect({ accepted: accepted.length, refused: refused.length }).toEqual({ accepted: 100, refused: 400 });
    const problem = Problem.parse(await refused[0]?.json());
    expect(problem).toMatchObject({ code: "budget_exceeded", currency: "USD", limit: 1.5 });
    expect((problem.charged ?? 0) + (problem.reserved ?? 0) + (problem.atRisk ?? 0)).toBeLessThanOrEqual(1.5);
    expect(Date.parse(problem.resetsAt ?? "")).toBeGreaterThan(Date.now());
    await Promise.all(sent.map(({ settled }) => settled()));
    await expect
      .poll(async () => {
        const usage = Usage.parse(await (await api("spends-100", "/api/usage").answer).json());
        return (usage.budget?.charged ?? 0) + (usage.budget?.reserved ?? 0) + (usage.budget?.atRisk ?? 0);
      })
      .toBe(1.5);
  }, 120_000);

  it("warns from alertAt on, and shows each day in JSON and CSV", async () => {
    const first = await submit("spends-all").answer;
    expect(Job.parse(await first.json()).warnings).toEqual([]);
    const seen: string[] = [];
    for (let n = 0; n < 5; n++) {
      const answer = await submit("spends-all", { prompt: `alert ${n}` }).answer;
      seen.push(...Job.parse(await answer.json()).warnings.map(({ code }) => code));
    }
    expect(seen).toContain("budget_alert");
    const read = async () => Usage.parse(await (await api("spends-all", "/api/usage").answer).json());
    // How many attempts are answered in time depends on the machine; the bookings must add up in any case.
    const settled = await until("settled books", async () => {
      const usage = await read();
      return usage.budget?.reserved === 0 ? usage : undefined;
    });
    const { buckets, currency, budget } = settled;
    expect(currency).toBe("USD");
    const results = buckets.flatMap((bucket) => bucket.results);
    expect(results).toEqual([{ ...results[0], client: "spends-all", model: SYNC_MODEL, jobs: 6 }]);
    expect(results[0]).toMatchObject({ charged: budget?.charged, atRisk: budget?.atRisk });
    expect((results[0]?.charged ?? 0) + (results[0]?.atRisk ?? 0)).toBeGreaterThanOrEqual(0.09);
    const monthly = Usage.parse(await (await api("spends-all", "/api/usage?bucket=month").answer).json());
    expect(monthly.buckets).toHaveLength(1);
    const csv = await api("spends-all", "/api/usage", { headers: { accept: "text/csv" } }).answer;
    expect(csv.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    const lines = (await csv.text()).trim().split("\r\n");
    expect(lines[0]).toBe("start,end,client,model,jobs,images,charged,atRisk,currency");
    expect(lines.at(-1)).toContain(
      `spends-all,${SYNC_MODEL},6,${results[0]?.images},${results[0]?.charged},${results[0]?.atRisk},USD`,
    );
  });

  it("refuses a model without a price to a client with a limit, and names PRICES", async () => {
    const answer = await submit("spends-some", { model: "qwen-image-3.0-pro" }).answer;
    expect(answer.status).toBe(402);
    expect(Problem.parse(await answer.json())).toMatchObject({
      code: "price_unknown",
      detail: expect.stringContaining("PRICES"),
    });
  });

  it("answers a repeated key at the limit with its job", async () => {
    const withKey = (key: string) => submit("spends-once", {}, undefined, { "idempotency-key": key }).answer;
    const first = await withKey("a");
    expect(first.status).toBe(202);
    const again = await withKey("a");
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(Job.parse(await again.json()).id).toBe(Job.parse(await first.json()).id);
    expect((await withKey("b")).status).toBe(402);
  });

  it("says at the compatible APIs that the limit is reached, in their own shapes", async () => {
    const openai = await submit("spends-1", { model: SYNC_MODEL }, "/v1/images/generations").answer;
    expect(openai.status).toBe(402);
    expect(await openai.json()).toMatchObject({ error: { type: "insufficient_quota", code: "budget_exceeded" } });
    const body = { input: { messages: [{ role: "user", content: [{ text: "a red bicycle" }] }] }, parameters: {} };
    for (const headers of [{}, { "x-dashscope-async": "enable" }]) {
      const path = "/api/v1/services/aigc/multimodal-generation/generation";
      const answer = await submit("spends-1", body, path, headers).answer;
      expect(answer.status).toBe(402);
      expect(await answer.json()).toMatchObject({
        code: "budget_exceeded",
        message: expect.stringContaining("spend limit"),
        request_id: expect.any(String),
      });
    }
  });

  it("makes no image for a request of several jobs for which there is no room", async () => {
    const prompt = `several jobs ${crypto.randomUUID()}`;
    const body = { prompt, model: SYNC_MODEL, n: 5 };
    const refused = await submit("spends-several", body, "/v1/images/generations").answer;
    expect(refused.status).toBe(402);
    const jobs = JobList.parse(await (await api("spends-several", "/api/jobs").answer).json());
    expect(jobs.jobs).toEqual([]);
    expect(await emulatorControl(env.QWEN_BASE_URL).ledger(prompt)).toMatchObject({ images: [] });
    expect(await usedOf("spends-several")).toBe(0);
  });

  it("reserves nothing for a request of several jobs that is refused for its content", async () => {
    const body = { prompt: "in oil", model: "qwen-image-edit-plus", n: 7, images: ["https://10.0.0.1/a.png"] };
    const refused = await submit("spends-broken", body, "/v1/images/edits").answer;
    expect(refused.status).toBe(400);
    expect(await usedOf("spends-broken")).toBe(0);
    const webhook = { url: "http://example.com/not-encrypted" };
    const other = await submit("spends-broken", { n: 4, webhook }, "/v1/images/generations").answer;
    expect(other.status).toBe(400);
    expect(await usedOf("spends-broken")).toBe(0);
  });

  it("frees at once what it reserved for jobs of a broken request that were not submitted", async () => {
    let calls = 0;
    const failing = namespaceWith(env.JOBS, "submit", async (stub, ...given) => {
      calls += 1;
      if (calls > 1) throw new Error("the object is down");
      return await stub.submit?.(...given);
    });
    const sent = submit("spends-broken", { n: 4 }, "/v1/images/generations", { prefer: "wait=0" }, { JOBS: failing });
    const answer = await sent.answer;
    expect(answer.status).toBe(500);
    expect((answer.headers.get("x-darkroom-job") ?? "").split(", ")).toHaveLength(1);
    // The first job, and the one that may or may not have been stored.
    expect(await usedOf("spends-broken")).toBe(2 * (UNIT / 1_000_000));
    await sent.settled();
  });

  it("shows what an image of each model costs", async () => {
    const { models } = Limits.parse(await (await api("spends-some", "/api/limits").answer).json());
    const priceOf = (name: string) => models.find(({ model }) => model === name)?.price;
    expect(priceOf("qwen-image-max")).toEqual({ currency: "USD", perImage: 0.075, perImageExtended: null });
    expect(priceOf(SYNC_MODEL)).toEqual({ currency: "USD", perImage: 0.015, perImageExtended: 0.03 });
    expect(priceOf("qwen-image-3.0-pro")).toBeNull();
  });
});
