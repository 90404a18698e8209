import type { BilledImage, CallEnd, CallStart, JournalEntry } from "./journal.ts";

/** A call with its end; `end: null` while it is open. `interrupted`: the emulator was killed before it ended. */
export interface LedgerCall extends CallStart {
  readonly end: CallEnd | null;
  readonly interrupted: boolean;
}

/** A billed image with the downloads of its link. `status: null` in a download: the connection was cut. */
export interface LedgerImage extends BilledImage {
  readonly downloads: readonly { readonly atMs: number; readonly status: number | null }[];
}

interface MutableCall extends CallStart {
  end: CallEnd | null;
  interrupted: boolean;
}
interface MutableImage extends BilledImage {
  downloads: { atMs: number; status: number | null }[];
}

/** Records who called, how each call ended, and what was billed. Fed with journal entries; holds no secret. */
export class Ledger {
  readonly #calls: MutableCall[] = [];
  readonly #callsById = new Map<number, MutableCall>();
  readonly #images: MutableImage[] = [];
  readonly #imagesByPath = new Map<string, MutableImage>();
  readonly #imagesByTask = new Map<string, MutableImage[]>();
  readonly #submitsByPrompt = new Map<string, number>();
  readonly #readsByTask = new Map<string, number>();

  get calls(): readonly LedgerCall[] {
    return this.#calls;
  }

  get images(): readonly LedgerImage[] {
    return this.#images;
  }

  /** Calls are numbered from 1. */
  get nextCallId(): number {
    return (this.#calls.at(-1)?.id ?? 0) + 1;
  }

  image(path: string): LedgerImage | null {
    return this.#imagesByPath.get(path) ?? null;
  }

  imagesOfTask(taskId: string): readonly LedgerImage[] {
    return this.#imagesByTask.get(taskId) ?? [];
  }

  /** How many submissions had exactly this prompt so far. */
  submitsOf(prompt: string): number {
    return this.#submitsByPrompt.get(prompt) ?? 0;
  }

  /** How often this task was read so far. */
  readsOf(taskId: string): number {
    return this.#readsByTask.get(taskId) ?? 0;
  }

  apply(entry: JournalEntry): void {
    switch (entry.type) {
      case "call": {
        const call = { ...entry.call, end: null, interrupted: false };
        this.#calls.push(call);
        this.#callsById.set(call.id, call);
        if (call.kind === "submit" && call.prompt !== null) {
          this.#submitsByPrompt.set(call.prompt, this.submitsOf(call.prompt) + 1);
        }
        if (call.kind === "task") {
          const taskId = call.path.replace(/\/$/, "").split("/").at(-1) ?? "";
          this.#readsByTask.set(taskId, this.readsOf(taskId) + 1);
        }
        return;
      }
      case "call-end": {
        const call = this.#callsById.get(entry.end.id);
        if (call !== undefined) call.end = entry.end;
        return;
      }
      case "billed":
        for (const billed of entry.images) {
          const image = { ...billed, downloads: [] };
          this.#images.push(image);
          this.#imagesByPath.set(image.path, image);
          if (image.taskId !== null) {
            this.#imagesByTask.set(image.taskId, [...(this.#imagesByTask.get(image.taskId) ?? []), image]);
          }
        }
        return;
      case "download":
        this.#imagesByPath.get(entry.path)?.downloads.push({ atMs: entry.atMs, status: entry.status });
        return;
      default:
        return;
    }
  }

  /** After a restart, the calls that were still open count as cut off. */
  interruptOpenCalls(): void {
    for (const call of this.#calls) if (call.end === null) call.interrupted = true;
  }

  /** Counts for an overview, and for tests that check how often upstream was called. */
  summary(): LedgerSummary {
    const calls: Record<string, number> = {};
    const submitStatuses: Record<string, number> = {};
    const submitCodes: Record<string, number> = {};
    let open = 0;
    let interrupted = 0;
    for (const call of this.#calls) {
      calls[call.kind] = (calls[call.kind] ?? 0) + 1;
      if (call.interrupted) interrupted += 1;
      else if (call.end === null) open += 1;
      if (call.kind !== "submit" || call.end === null) continue;
      const status = call.end.status === null ? "cut" : String(call.end.status);
      submitStatuses[status] = (submitStatuses[status] ?? 0) + 1;
      if (call.end.code !== null) submitCodes[call.end.code] = (submitCodes[call.end.code] ?? 0) + 1;
    }
    const downloads = this.#images.reduce((sum, image) => sum + image.downloads.length, 0);
    return { calls, open, interrupted, submitStatuses, submitCodes, billedImages: this.#images.length, downloads };
  }
}

export interface LedgerSummary {
  /** By kind: submit, task, list, cancel, policy. */
  readonly calls: Readonly<Record<string, number>>;
  readonly open: number;
  readonly interrupted: number;
  /** Submissions by HTTP status; `cut` when there was no answer. */
  readonly submitStatuses: Readonly<Record<string, number>>;
  readonly submitCodes: Readonly<Record<string, number>>;
  readonly billedImages: number;
  readonly downloads: number;
}
