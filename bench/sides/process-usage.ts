import { readdirSync, readFileSync } from "node:fs";

/** Linux counts CPU time in these units on every kernel. */
const TICKS_PER_SECOND = 100;

/** What a process and all processes that it started have used so far. */
export interface Usage {
  readonly cpuMs: number;
  /** Only of the children named `workerd`: the Worker and its objects. */
  readonly workerdCpuMs: number;
  readonly workerdResidentBytes: number;
  readonly workerdPids: readonly number[];
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly cpuMs: number;
}

function statOf(pid: string): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name is in brackets and may contain anything; the numbers follow the last bracket.
    const end = text.lastIndexOf(")");
    const fields = text.slice(end + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    return {
      pid: Number(pid),
      parent: Number(fields[1]),
      name: text.slice(text.indexOf("(") + 1, end),
      cpuMs: (ticks * 1000) / TICKS_PER_SECOND,
    };
  } catch {
    // The process ended meanwhile.
    return null;
  }
}

function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Reads `/proc`, so it works on Linux only; elsewhere it returns null, and the rows that need it report that. */
export function usageOf(rootPid: number): Usage | null {
  let pids: string[];
  try {
    pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return null;
  }
  const stats = pids.map(statOf).filter((stat) => stat !== null);
  const family = new Set([rootPid]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const { pid, parent } of stats) {
      if (family.has(pid) || !family.has(parent)) continue;
      family.add(pid);
      grew = true;
    }
  }
  const members = stats.filter(({ pid }) => family.has(pid));
  const workerd = members.filter(({ name }) => name === "workerd");
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    cpuMs: sum(members.map(({ cpuMs }) => cpuMs)),
    workerdCpuMs: sum(workerd.map(({ cpuMs }) => cpuMs)),
    workerdResidentBytes: sum(workerd.map(({ pid }) => residentBytes(pid))),
    workerdPids: workerd.map(({ pid }) => pid),
  };
}
