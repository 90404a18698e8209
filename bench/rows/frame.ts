import { watchJob } from "../load/watch-job.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitRequest } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import { quantile, spreadOf } from "../statistics.ts";

const IMAGE_BYTES = 1_500_000;
/** The first few compile the code. */
const WARM_UP = 10;
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1000, periodMs: 1000 } });

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const samples = (quick ? 60 : 300) + WARM_UP;
  const emulator = await startEmulator([
    ...["--latency", "150", "--spread", "0", "--quota", "off"],
    ...["--images", "small-file", "--image-bytes", String(IMAGE_BYTES)],
  ]);
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS } });
  const doneAtMs = new Map<string, number>();
  try {
    for (let number = 0; number < samples; number++) {
      const prompt = `frame ${number}`;
      const { path, method, headers, body } = submitRequest("darkroom", prompt);
      const response = await fetch(`${side.url}${path}`, { method, headers, body });
      const { id } = (await response.json()) as { id: string };
      const watch = watchJob(side.url, id, ({ job }) => {
        if (job.done && job.status !== "succeeded") throw new Error(`${id} ended as ${job.status}`);
      });
      doneAtMs.set(prompt, await watch.doneAtMs);
    }
    const lags: number[] = [];
    for (const { prompt, end } of await emulator.calls()) {
      const framedAtMs = doneAtMs.get(prompt ?? "");
      if (framedAtMs === undefined || end === null) throw new Error(`nothing is known of ${prompt}`);
      lags.push(framedAtMs - end.endedAtMs);
    }
    const counted = lags.slice(WARM_UP);
    say(
      `${counted.length} jobs: p50 ${quantile(counted, 0.5).toFixed(1)} ms, p99 ${quantile(counted, 0.99).toFixed(1)} ms`,
    );
    return [
      {
        what: "upstream's answer → finished frame, 1.5 MB stored, p50",
        unit: "ms",
        value: spreadOf(counted),
        bar: { kind: "at most", value: 40 },
      },
      {
        what: "upstream's answer → finished frame, 1.5 MB stored, p99",
        unit: "ms",
        value: { ...spreadOf([quantile(counted, 0.99)]) },
        bar: { kind: "at most", value: 150 },
      },
    ];
  } finally {
    await side.end();
    await emulator.end();
  }
}

/** From upstream's answer to the frame that a watcher gets, an image stored in between. */
export const frameRow: Row = {
  name: "frame",
  kind: "speed",
  about: "upstream's answer to the finished frame at a watcher",
  run,
};
