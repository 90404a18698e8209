/**
 * `npm run audit`: asks the registry for known vulnerabilities of what is deployed. Fails on a high or critical one. When no
 * registry answers (no network, or one without advisories) it says so and passes.
 */
import { spawnSync } from "node:child_process";
import { z } from "zod";

/** A registry that takes longer counts as one that does not answer. */
const ANSWER_WITHIN_MS = 30_000;

/** The parts of npm's report (`auditReportVersion` 2) that are read here. */
const Report = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(z.string(), z.object({ severity: z.string(), range: z.string() })),
});

function reportOf(stdout: string): z.infer<typeof Report> | null {
  try {
    return Report.safeParse(JSON.parse(stdout)).data ?? null;
  } catch {
    return null;
  }
}

const args = ["audit", "--json", "--omit=dev", "--fetch-retries=0"];
const report = reportOf(spawnSync("npm", args, { encoding: "utf8", timeout: ANSWER_WITHIN_MS }).stdout ?? "");
if (report === null) {
  console.log(
    "no registry answered, so known holes were not asked for; licences, scripts and hashes are tested offline",
  );
} else {
  const found = Object.entries(report.vulnerabilities).map(([name, hole]) => ({ name, ...hole }));
  for (const { name, range, severity } of found) console.log(`${severity}: ${name} ${range}`);
  const grave = found.filter(({ severity }) => severity === "high" || severity === "critical");
  console.log(`${found.length} known holes in what is deployed, ${grave.length} of them high or critical`);
  if (grave.length > 0) process.exitCode = 1;
}
