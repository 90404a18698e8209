import { beforeAll, describe, expect, it } from "vitest";
import { planCrash } from "./crash/plan.ts";
import { type CrashRun, runCrash } from "./crash/run.ts";
import { type CrashFigures, type Finding, figuresOf, judgeBooks, judgeJob } from "./crash/verdict.ts";

/**
 * `npm run test:crash` is a short run; `CRASH=long npm run test:crash` is 100 kills over 300 jobs. CRASH_KILLS and CRASH_JOBS
 * set other numbers. CRASH_SEED repeats a run's jobs, deeds and times; each run prints its seed.
 */
const { CRASH, CRASH_KILLS, CRASH_JOBS, CRASH_SEED } = process.env;
const long = CRASH === "long";
const kills = Number(CRASH_KILLS ?? (long ? 100 : 8));
const jobs = Number(CRASH_JOBS ?? (long ? 300 : 40));
const seed = Number(CRASH_SEED ?? (long ? Date.now() % 1_000_000 : 20_261_123));
const CROWD = 24;
/** A minute for each kill on a busy machine, and ten for the rest. */
const TIMEOUT_MS = kills * 60_000 + 600_000;

let run: CrashRun;
let findings: Finding[];
let figures: CrashFigures;

beforeAll(async () => {
  console.log(`crash: ${kills} kills over ${jobs} jobs, CRASH_SEED=${seed}`);
  const startedAtMs = Date.now();
  run = await runCrash(planCrash(seed, jobs, kills, CROWD));
  findings = run.evidence.flatMap(([job, upstream]) => judgeJob(job, upstream));
  findings.push(...judgeBooks(run.usage, run.billed));
  figures = figuresOf(run.evidence, findings, run.killedAtMs);
  const { inFlight, restartsMs, leftInLanes, ledger } = run;
  const restarts = restartsMs.toSorted((a, b) => a - b);
  const report = {
    seed,
    kills: run.killedAtMs.length,
    minutes: Math.round((Date.now() - startedAtMs) / 6_000) / 10,
    jobsInFlightAtKills: { least: Math.min(...inFlight), most: Math.max(...inFlight) },
    restartMs: { median: restarts[Math.floor(restarts.length / 2)], longest: restarts.at(-1) },
    ...figures,
    leftInLanes,
    books: { ...run.usage.budget, billed: run.billed },
    upstream: { calls: ledger.calls, answers: ledger.submitStatuses, interrupted: ledger.interrupted },
  };
  console.log(JSON.stringify(report, null, 2));
  for (const { kind, id, detail } of findings) console.log(`${kind}: ${id}: ${detail}`);
}, TIMEOUT_MS);

describe(`${jobs} jobs of every kind while the process is killed ${kills} times`, () => {
  it("has jobs in flight at the kills, and interrupted attempts", () => {
    expect(run.killedAtMs).toHaveLength(kills);
    expect(Math.max(...run.inFlight)).toBeGreaterThan(0);
    expect(figures.interrupted).toBeGreaterThan(0);
    expect(run.evidence).toHaveLength(jobs);
    // The Worker's log was read: it shows which calls of a deleted job were under way.
    expect(run.evidence.reduce((sum, [{ logged }]) => sum + logged.startsBefore, 0)).toBeGreaterThan(0);
  });

  const none = (kind: Finding["kind"]) => expect(findings.filter((finding) => finding.kind === kind)).toEqual([]);

  it("loses no job: each is found, and listed once", () => none("lost"));
  it("leaves no job stuck", () => none("stuck"));
  it("finishes no job twice, and writes every log without a gap", () => {
    none("finished twice");
    none("log broken");
  });
  it("pays no second time for an image whose links or task were stored", () => none("paid again"));
  it("keeps every image unchanged", () => {
    none("wrong bytes");
    expect(figures.images).toBeGreaterThan(0);
  });
  it("charges what upstream billed, except for the amount at risk, and reserves nothing in the end", () => {
    none("wrong bill");
    expect(figures.money.charged).toBeGreaterThan(0);
    expect(figures.money.billed).toBeLessThanOrEqual(figures.money.charged + figures.money.atRisk);
  });
  it("ends each job as planned: succeeded, canceled or deleted", () => none("wrong end"));
  it("leaves no lease behind", () => expect(run.leftInLanes).toBe(0));
});
