/**
 * Outlives `npm start` for a moment: when its standard input closes, however the starter died, it kills every process group
 * that it knows of and that has not ended, and removes the folder with the secrets. So no Worker and no emulator is left that
 * holds a port.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const groups = new Set<number>();
// Ctrl-C reaches every process of the terminal. The starter then ends its children, and this guard acts only after that.
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
      // It has ended already.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
