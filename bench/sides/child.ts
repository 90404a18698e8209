import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A child starts within this time even on a small, busy machine. */
const UP_WITHIN_MS = 60_000;
/** A child that has not ended after this time is killed. */
const END_WITHIN_MS = 5_000;

/** Every child of the bench, so that none outlasts it. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts one of our own TypeScript files in a Node of its own and resolves with `read` of the first line for which that is not
 * null. Its error output is passed on. Throws when it ends first, or prints no such line within a minute.
 */
export async function startChild<Answer>(
  file: string,
  args: readonly string[],
  read: (line: string) => Answer | null,
): Promise<{ child: ChildProcess; answer: Answer }> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const found = Promise.withResolvers<Answer>();
  child.once("exit", (code) => found.reject(new Error(`${file} ended with ${code} before it was up`)));
  const late = setTimeout(() => found.reject(new Error(`${file} was not up within a minute`)), UP_WITHIN_MS);
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer = read(line);
    if (answer !== null) found.resolve(answer);
  });
  try {
    return { child, answer: await found.promise };
  } finally {
    clearTimeout(late);
  }
}

/** Sends SIGTERM, and SIGKILL when the child does not end in time. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  const impatient = setTimeout(() => child.kill("SIGKILL"), END_WITHIN_MS);
  child.kill("SIGTERM");
  await ended;
  clearTimeout(impatient);
}
