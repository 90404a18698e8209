import { type JobWatch, watchJob } from "../load/watch-job.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOTHING_STARTS, NOWHERE, start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { quantile, spreadOf } from "../statistics.ts";

const SOCKETS = 1_000;
/** How many sockets are opened at a time, because the kernel's queue of new connections is short. */
const AT_ONCE = 50;
const CANCELED_AT_ONCE = 8;

async function cancel(url: string, id: string): Promise<void> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const canceled = await fetch(`${url}/api/jobs/${id}/cancel`, { method: "POST", headers });
  if (!canceled.ok) throw new Error(`cancel answered ${canceled.status}`);
}

/** With one socket on each job: the times from sending each cancellation until the socket's last frame. */
async function oneEach(url: string): Promise<number[]> {
  const ids = await submitJobs("darkroom", url, SOCKETS);
  const watched: { readonly id: string; readonly watch: JobWatch }[] = [];
  const lagsMs: number[] = [];
  for (let opened = 0; opened < SOCKETS; opened += AT_ONCE) {
    const some = ids.slice(opened, opened + AT_ONCE).map((id) => ({ id, watch: watchJob(url, id) }));
    await Promise.all(some.map(({ watch }) => watch.opened));
    watched.push(...some);
  }
  const one = async (): Promise<void> => {
    for (let next = watched.pop(); next !== undefined; next = watched.pop()) {
      const sentAtMs = performance.timeOrigin + performance.now();
      await cancel(url, next.id);
      lagsMs.push((await next.watch.doneAtMs) - sentAtMs);
    }
  };
  await Promise.all(Array.from({ length: CANCELED_AT_ONCE }, one));
  return lagsMs;
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 2 : 5;
  const side = await start("darkroom", { emulator: NOWHERE, vars: { LANE_LIMITS: NOTHING_STARTS } });
  const gapsMs: number[] = [];
  let lagsMs: number[] = [];
  try {
    for (let number = 1; number <= rounds; number++) {
      const [, id = ""] = await submitJobs("darkroom", side.url, 2, 1);
      const toldAtMs: number[] = [];
      const watches: ReturnType<typeof watchJob>[] = [];
      for (let opened = 0; opened < SOCKETS; opened += AT_ONCE) {
        const some = Array.from({ length: AT_ONCE }, () =>
          watchJob(side.url, id, ({ job }, atMs) => {
            if (job.done) toldAtMs.push(atMs);
          }),
        );
        await Promise.all(some.map((watch) => watch.opened));
        watches.push(...some);
      }
      await cancel(side.url, id);
      await Promise.all(watches.map(({ doneAtMs }) => doneAtMs));
      gapsMs.push(Math.max(...toldAtMs) - Math.min(...toldAtMs));
      say(`${toldAtMs.length} notified within ${gapsMs.at(-1)?.toFixed(0)} ms`);
    }
    lagsMs = await oneEach(side.url);
    say(
      `${lagsMs.length} jobs with a socket each: p50 ${quantile(lagsMs, 0.5).toFixed(0)} ms, p99 ${quantile(lagsMs, 0.99).toFixed(0)} ms`,
    );
  } finally {
    await side.end();
  }
  return [
    {
      what: `${SOCKETS} sockets on one job: last notified after first`,
      unit: "ms",
      value: spreadOf(gapsMs),
      bar: { kind: "at most", value: 1_000 },
    },
    {
      what: `${SOCKETS} jobs with a socket each: from its cancellation, ${CANCELED_AT_ONCE} at once, to its last frame`,
      unit: "ms",
      value: spreadOf(lagsMs),
      bar: null,
    },
  ];
}

/** A thousand sockets on one job: the time between the first and the last final frame. And a thousand jobs with a socket each. */
export const socketsRow: Row = {
  name: "sockets",
  kind: "speed",
  about: "1 000 sockets on one job, and one on each of 1 000 jobs",
  run,
};
