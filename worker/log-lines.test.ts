import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { JobEvent } from "../schemas/event.ts";

/** The names of log lines in the sources: of lines that are written directly, and of those that an object's `log` writes. */
function loggedEvents(): Set<string> {
  const files = globSync("worker/**/*.ts").filter((file) => !file.endsWith(".test.ts"));
  const sources = files.map((file) => readFileSync(file, "utf8")).join("\n");
  const names = [
    ...sources.matchAll(/\bevent: "([a-z_]+)"|[#.]log\(\s*"([a-z_]+)"|\? "([a-z_]+)" : "(unexpected_error)"/g),
  ];
  return new Set(names.flatMap((found) => found.slice(1).filter((name) => name !== undefined)));
}

it("docs/operations.md explains every log line, and no other", () => {
  const [, table = ""] = /## Lines of the log\n([\s\S]*?)\n\n/.exec(readFileSync("docs/operations.md", "utf8")) ?? [];
  const cells = [...table.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = ""]) => cell);
  const explained = cells.flatMap((cell) => [...cell.matchAll(/`([\w.]+)`/g)].map(([, name]) => name));
  const logged = loggedEvents();
  expect(logged.size).toBeGreaterThan(20);
  const removals = ["job_deleted", "job_expired"];
  const ofJobs = JobEvent.shape.type.options;
  expect(new Set(explained)).toEqual(new Set(["event", ...logged, ...ofJobs, ...removals]));
});
