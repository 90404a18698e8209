import type { JobContext } from "./core/job-fact.ts";
import type { Tombstone } from "./core/job-record.ts";
import { outlasting } from "./core/request-transitions.ts";
import { type Live, tombstoneAlarmAtMs } from "./core/schedule.ts";
import type { ImageKeeper } from "./image-keeper.ts";
import type { JobShell } from "./job-shell.ts";
import type { JobStore } from "./job-store.ts";
import type { OutboxCourier } from "./outbox-courier.ts";
import type { UpstreamCaller } from "./upstream-caller.ts";

interface Parts {
  readonly shell: JobShell;
  readonly store: JobStore;
  readonly courier: OutboxCourier;
  readonly caller: UpstreamCaller;
  readonly keeper: ImageKeeper;
  /** Keeps the object awake until the work is done. */
  readonly keepRunning: (work: Promise<unknown> | null) => void;
}

/** What is left of a removed job: its files and its traces elsewhere are cleaned up, then it is forgotten at its time. */
export class TombstoneKeeper {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  patch(patch: Partial<Tombstone>): void {
    const { shell, store } = this.#parts;
    const tombstone = shell.tombstone();
    if (tombstone !== null) store.bury({ ...tombstone, ...patch });
  }

  /** The key of the job that lies here stands for another one from now on. */
  outlast(deadlineSeconds: number, context: JobContext): void {
    const { shell, store } = this.#parts;
    const tombstone = shell.tombstone();
    if (tombstone === null) return;
    const longer = outlasting(tombstone, deadlineSeconds, context);
    if (longer !== tombstone) store.bury(longer);
  }

  pump(tombstone: Tombstone, nowMs: number, live: () => Live): void {
    const { shell, store, courier, caller, keeper, keepRunning } = this.#parts;
    caller.hangUp(null);
    keeper.stopUnwanted(null);
    keepRunning(courier.start(nowMs));
    if (tombstone.filesRemain) keepRunning(keeper.remove(tombstone.id, nowMs));
    const config = shell.config();
    const { cancelTasks } = tombstone.outbox;
    if (config !== null) keepRunning(caller.cancelTasks(cancelTasks, config, (taskId) => this.#taskLetGo(taskId)));
    const alarmAtMs = tombstoneAlarmAtMs(tombstone, nowMs, live());
    const isOver = alarmAtMs <= nowMs && nowMs >= tombstone.untilMs;
    if (!isOver) store.arm(alarmAtMs);
    else if (tombstone.isSwept === true) keepRunning(store.forget());
    else {
      // A put that outlived its object may have landed after the removal: files are removed once more before the job is forgotten.
      this.patch({ filesRemain: true, isSwept: true });
      shell.pump();
    }
  }

  #taskLetGo(taskId: string): void {
    const outbox = this.#parts.shell.tombstone()?.outbox;
    if (outbox === undefined) return;
    this.patch({ outbox: { ...outbox, cancelTasks: outbox.cancelTasks.filter((known) => known !== taskId) } });
  }
}
