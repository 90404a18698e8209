import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Local ports on which these processes listen; none where there is no `/proc`. */
function listeningPorts(pids: readonly number[]): number[] {
  const sockets: string[] = [];
  for (const pid of pids) {
    // Oldest first, because the oldest socket is the one for HTTP.
    for (const fd of readdirSync(`/proc/${pid}/fd`).toSorted((a, b) => Number(a) - Number(b))) {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        if (inode !== undefined) sockets.push(inode);
      } catch {
        // The descriptor was closed meanwhile.
      }
    }
  }
  // proc(5): local address in hex, state (0A: listening) and inode.
  const portOf = new Map<string, number>();
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1)) {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    if (state === "0A") portOf.set(inode, Number.parseInt(local.split(":")[1] ?? "", 16));
  }
  return sockets.flatMap((inode) => portOf.get(inode) ?? []);
}

async function isDarkroom(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/api/health`, { signal: AbortSignal.timeout(2_000) });
    const health: unknown = await answer.json();
    return typeof health === "object" && health !== null && "service" in health && health.service === "darkroom";
  } catch {
    return false;
  }
}

/**
 * The port at which the Worker's own workerd listens, behind wrangler's proxy: the process that runs our code parses the
 * requests to it. Null where there is no `/proc`.
 */
export async function findWorkerDoor(workerdPids: readonly number[], publicPort: number): Promise<number | null> {
  let ports: number[];
  try {
    ports = listeningPorts(workerdPids);
  } catch {
    return null;
  }
  for (const port of ports) if (port !== publicPort && (await isDarkroom(port))) return port;
  return null;
}
