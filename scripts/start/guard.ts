/**
 * Ends a moment after `npm start`: when its standard input closes, however our starter died, every process group that it
 * knows of and that has not ended is killed, and the folder with the secrets removed. Nothing of a Worker or an
 * emulator stays behind to hold a port.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const groups = new Set<number>();
// Ctrl-C reaches the whole terminal; the starter then ends its children politely, and only after that we are needed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const folders: string[] = [];
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const [what, value = ""] = line.split(/ (.*)/s, 2);
  if (what === "started") groups.add(Number(value));
  if (what === "ended") groups.delete(Number(value));
  if (what === "remove") folders.push(value);
});
input.on("close", () => {
  for (const pid of groups) {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Gone already, as it should be.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
