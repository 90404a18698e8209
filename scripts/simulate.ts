/**
 * `npm run simulate [-- --jobs 1000000 --seed 1]`: runs a lane's own code in virtual time, against bursts, throttling,
 * outages and arrears. `-- --margins` runs it with other margins of its window instead, against calls that reach upstream
 * unevenly. Prints the tables of docs/lane-simulation.md.
 */
import { parseArgs } from "node:util";
import type { Sample } from "../simulation/lane/measure.ts";
import { MARGINS, SCENARIOS } from "../simulation/lane/scenarios.ts";
import { type Result, simulate } from "../simulation/lane/simulate.ts";

const SHORT_JOBS = 80_000;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  console.error(`--${name} must be a whole number from 1, got ${text}`);
  process.exit(2);
}

function percent(share: number | null): string {
  return share === null || Number.isNaN(share) ? "–" : `${(share * 100).toFixed(1)} %`;
}

function duration(ms: number | null): string {
  if (ms === null) return "–";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 7_200_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

function waits(sample: Sample): string {
  return [0.5, 0.9, 0.99].map((share) => duration(sample.percentile(share))).join(" · ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const MARGIN_JOBS = 20_000;

function printMargins(seed: number): void {
  const rows = [...Map.groupBy(MARGINS, ({ name }) => name)].map(([name, scenarios]) => [
    name,
    ...scenarios.map((scenario) => {
      const { useOfQuota, throttled } = simulate(scenario, MARGIN_JOBS, seed);
      return `${(useOfQuota * 100).toFixed(2)} %, ${throttled}`;
    }),
  ]);
  const margins = [...new Set(MARGINS.map(({ margin = 0 }) => `${margin * 100} %`))];
  console.log(table(["later by up to, each + one in ten", ...margins], rows));
}

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: String(SHORT_JOBS) },
    seed: { type: "string", default: "1" },
    margins: { type: "boolean", default: false },
  },
});
if (values.margins) {
  printMargins(wholeNumber("seed", values.seed));
  process.exit(0);
}
const jobs = Math.ceil(wholeNumber("jobs", values.jobs) / SCENARIOS.length);
const seed = wholeNumber("seed", values.seed);
const startedAtMs = performance.now();
const results: Result[] = [];
for (const [index, scenario] of SCENARIOS.entries()) {
  results.push(simulate(scenario, jobs, seed * 1_000 + index));
  console.error(`${scenario.name}: done after ${duration(performance.now() - startedAtMs)}`);
}

const whole = (value: number) => value.toLocaleString("en").replaceAll(",", " ");
console.log(
  table(
    ["scenario", "jobs", "virtual time", "longest queue", "most in any window", "429s of starts", "use with a backlog"],
    results.map((each) => [
      `${each.scenario.name}: ${each.scenario.description}`,
      whole(each.jobs),
      duration(each.hours * 3_600_000),
      whole(each.longestQueue),
      `${each.mostInAWindow} of ${each.scenario.quota.starts}`,
      `${whole(each.throttled)} of ${whole(each.starts)}`,
      percent(each.useOfQuota),
    ]),
  ),
);
console.log("\nWaits (p50 · p90 · p99), from joining the queue to the start:\n");
console.log(
  table(
    ["scenario", "high", "normal", "low"],
    results.map(({ scenario, waitsMs }) => [
      scenario.name,
      waits(waitsMs.high),
      waits(waitsMs.normal),
      waits(waitsMs.low),
    ]),
  ),
);
console.log("\nFairness, estimates (off by what share of the wait, p50 · p90), and what became of the jobs:\n");
const off = (sample: Sample) =>
  `${percent(sample.percentile(0.5))} · ${percent(sample.percentile(0.9))} (${whole(sample.size)})`;
console.log(
  table(
    [
      "scenario",
      "worst client's share of its due (compared)",
      "estimate, queue undisturbed",
      "estimate, all",
      "failed",
      "left behind",
    ],
    results.map((each) => [
      each.scenario.name,
      `${percent(each.worstShare)} (${whole(each.sharesCompared)})`,
      off(each.estimateErrors.undisturbed),
      off(each.estimateErrors.all),
      whole(each.failed),
      whole(each.unfinished),
    ]),
  ),
);
const perSecond = whole(Math.round((jobs * SCENARIOS.length) / ((performance.now() - startedAtMs) / 1_000)));
console.error(
  `${whole(jobs * SCENARIOS.length)} jobs in ${duration(performance.now() - startedAtMs)}: ${perSecond} a second`,
);
