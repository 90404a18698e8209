import { watchJob } from "../load/watch-job.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOWHERE, start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { spreadOf } from "../statistics.ts";

const SOCKETS = 1_000;
/** Opened so many at a time: the kernel's queue of new connections is short. */
const AT_ONCE = 50;
const NOTHING_STARTS = JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 86_400_000 } });

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 2 : 5;
  const side = await start("darkroom", { emulator: NOWHERE, vars: { LANE_LIMITS: NOTHING_STARTS } });
  const gapsMs: number[] = [];
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
      const canceled = await fetch(`${side.url}/api/jobs/${id}/cancel`, {
        method: "POST",
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      if (!canceled.ok) throw new Error(`cancel answered ${canceled.status}`);
      await Promise.all(watches.map(({ doneAtMs }) => doneAtMs));
      gapsMs.push(Math.max(...toldAtMs) - Math.min(...toldAtMs));
      say(`${toldAtMs.length} told within ${gapsMs.at(-1)?.toFixed(0)} ms`);
    }
  } finally {
    await side.end();
  }
  return [
    {
      what: `${SOCKETS} sockets on one job: last told after first`,
      unit: "ms",
      value: spreadOf(gapsMs),
      bar: { kind: "at most", value: 1_000 },
    },
  ];
}

/** A thousand sockets on one job: how long after the first the last one hears of its end. */
export const socketsRow: Row = { name: "sockets", about: "1 000 sockets on one job", run };
