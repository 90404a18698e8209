import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

/** Starts the emulator for the tests inside workerd, on the port that `vitest.config.ts` put into their bindings. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const port = project.config.env.EMULATOR_PORT;
  if (port === undefined) throw new Error("EMULATOR_PORT is not set for this project");
  const args = ["emulator/main.ts", "--port", port, "--latency", "20", "--quota", "off", "--images", "small-file"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const up = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes("emulator listening on")) return;
    }
    throw new Error("the emulator ended before it was up");
  })();
  await up;
  // Later output must not fill the pipe.
  child.stdout.resume();
  return async () => {
    if (child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  };
}
