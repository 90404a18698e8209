import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { freePort } from "../support/free-port.ts";
import { startGroup } from "../support/process-group.ts";
import { until } from "../support/until.ts";
import type { Place, PlaceKind } from "./search.ts";

/** The first start also unpacks wrangler. */
const UP_WITHIN_MS = 180_000;

/** Every file below a folder. A file that disappears meanwhile was temporary, and is left out. */
export function filesOf(folder: string, kindOf: (path: string) => PlaceKind): Place[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    if (!entry.isFile()) return [];
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    try {
      return [{ kind: kindOf(name), name, bytes: readFileSync(path) }];
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
  });
}

/** The id of a process's parent, from `/proc`: the second word after the name in parentheses. */
function parentOf(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

/** The command lines of a process and of all that it has started, which everyone on this machine can read; none without /proc. */
function commandLines(root: number): Place[] {
  if (!existsSync("/proc/self/stat")) return [];
  const family = new Set([root]);
  const places: Place[] = [];
  // Parents come before their children, as ids grow.
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  for (const pid of pids.sort((a, b) => Number(a) - Number(b))) {
    try {
      if (!family.has(Number(pid)) && !family.has(parentOf(pid))) continue;
      family.add(Number(pid));
      places.push({ kind: "command line", name: pid, bytes: readFileSync(`/proc/${pid}/cmdline`) });
    } catch {
      // The process has ended meanwhile.
    }
  }
  return places;
}

const storedKind = (path: string): PlaceKind => (/(^|\/)blobs\//.test(path) ? "stored blob" : "stored row");

export type Darkroom = Awaited<ReturnType<typeof startDarkroom>>;

/**
 * Runs `npm start` with a home and a temporary folder of its own, its log at the most verbose level, and these variables of the
 * Worker. Resolves once it reports that it is up, misconfigured or not. The page must be built.
 */
export async function startDarkroom(vars: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-canary-"));
  const made = (name: string) => mkdtempSync(join(folder, `${name}-`));
  const [state, home, temporary] = [made("state"), made("home"), made("tmp")];
  const port = await freePort();
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_CONFIG_HOME: join(home, "config"),
    TMPDIR: temporary,
    PORT: String(port),
    STATE_DIR: state,
    WORKER_LOG: "debug",
    SKIP_BUILD: "1",
    ...vars,
  };
  const group = startGroup(["scripts/start.ts"], env, Number.POSITIVE_INFINITY);
  const up = async () => {
    const how = group.ended();
    if (how !== null) throw new Error(`npm start ended (${how}):\n${group.log()}`);
    return /Darkroom is up/.test(group.log()) ? true : undefined;
  };
  await until("npm start", up, UP_WITHIN_MS);
  return {
    baseUrl: `http://localhost:${port}`,
    log: () => group.log(),
    /** What exists only while it runs: its command lines, and wrangler's bundle of the Worker. */
    running(): Place[] {
      return [...commandLines(group.pid), ...filesOf(".wrangler/tmp", () => "bundle")];
    },
    /** Ends it, as Ctrl-C does. Returns its log and everything that it leaves on the disk. */
    async end(): Promise<Place[]> {
      await group.kill("SIGINT");
      // The process that removes the secrets file ends shortly after the others. A file that stays is among the files below.
      const hasSecretsFile = () => readdirSync(temporary).some((name) => name.startsWith("darkroom-"));
      await until("the secrets file to be gone", () => !hasSecretsFile() || undefined).catch(() => undefined);
      const log: Place = { kind: "log", name: "npm start", bytes: Buffer.from(group.log()) };
      return [
        log,
        ...filesOf(state, storedKind),
        ...filesOf(home, () => "log"),
        ...filesOf(temporary, () => "left behind"),
      ];
    },
    forget: () => rmSync(folder, { recursive: true, force: true }),
  };
}
