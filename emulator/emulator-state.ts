import type { Fault, FaultRule, LiveRule } from "./core/fault.ts";
import { drawFault, type Subject } from "./core/fault.ts";
import { promptFault, promptMarkers } from "./core/fault-words.ts";
import type { Model } from "./core/model-table.ts";
import { admit } from "./core/quota-window.ts";
import { hashText, type Random, seededRandom } from "./core/random.ts";
import { quotaOf, type Settings, type SettingsPatch } from "./core/settings.ts";
import { TaskBoard, type TaskView } from "./core/task-board.ts";

import type {
  BilledImage,
  CallEnd,
  CallStart,
  Journal,
  JournalEntry,
  TaskTaken,
  Upload,
  UploadGrant,
} from "./journal.ts";
import { Ledger } from "./ledger.ts";

/**
 * The emulator's whole state. Every change is a fact that is written to the journal first and applied by the same code that
 * replays it at the next start, so that a kill at any instruction leaves a consistent state.
 */
export class EmulatorState {
  readonly #journal: Journal;
  readonly #now: () => number;
  readonly #base: Settings;
  readonly #startRules: readonly FaultRule[];
  #patch: SettingsPatch = {};
  #rules: readonly LiveRule[] = [];
  #ruleCount = 0;
  #ledger = new Ledger();
  #tasks = new TaskBoard<TaskTaken>();
  /** Tasks that ended and that `settleTasks` has not billed yet. */
  #ended: TaskView<TaskTaken>[] = [];
  #starts = new Map<string, readonly number[]>();
  #random: Random;
  #grants = new Map<string, UploadGrant>();
  #uploads = new Map<string, Upload>();

  /** `rules` are added unless an earlier run has stored rules. */
  constructor(journal: Journal, base: Settings, rules: readonly FaultRule[], now: () => number) {
    this.#journal = journal;
    this.#now = now;
    this.#base = base;
    this.#startRules = rules;
    // A new random stream after each restart: repeated draws would repeat the same faults forever.
    this.#random = seededRandom(hashText(`${base.seed} ${journal.earlier.length}`));
    for (const entry of journal.earlier) this.#apply(entry);
    this.#ledger.interruptOpenCalls();
    if (!journal.earlier.some((entry) => entry.type === "rules")) for (const rule of rules) this.addRule(rule);
    this.settleTasks();
  }

  get settings(): Settings {
    // A patch holds only given keys, so none of them is undefined.
    return { ...this.#base, ...this.#patch } as Settings;
  }

  /** Settings that were changed since the start, or in an earlier run with this state. */
  get patch(): SettingsPatch {
    return this.#patch;
  }

  get rules(): readonly LiveRule[] {
    return this.#rules;
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  get random(): Random {
    return this.#random;
  }

  patchSettings(patch: SettingsPatch): void {
    this.#write({ type: "settings", patch });
  }

  addRule(rule: FaultRule): LiveRule {
    const live = { ...rule, id: `rule-${this.#ruleCount + 1}`, seen: 0, used: 0 };
    this.#write({ type: "rules", rules: [...this.#rules, live] });
    return live;
  }

  /** False when there is no such rule. */
  removeRule(id: string): boolean {
    const left = this.#rules.filter((rule) => rule.id !== id);
    if (left.length === this.#rules.length) return false;
    this.#write({ type: "rules", rules: left });
    return true;
  }

  clearRules(): void {
    this.#write({ type: "rules", rules: [] });
  }

  /** Records the call and draws its fault: that of a rule, else the prompt's own. */
  openCall(call: Omit<CallStart, "id" | "fault">): { readonly call: CallStart; readonly fault: Fault | null } {
    const subject: Subject = call;
    const drawn = drawFault(this.#rules, subject, this.#random);
    if (drawn.rules.some((rule, index) => rule !== this.#rules[index])) {
      this.#write({ type: "rules", rules: [...drawn.rules] });
    }
    const marked = call.kind === "submit" && call.prompt !== null ? promptMarkers(call.prompt) : [];
    const fault = drawn.fault ?? promptFault(marked, this.#ledger.submitsOf(call.prompt ?? ""));
    const noted = { ...call, id: this.#ledger.nextCallId, fault: fault?.type ?? null };
    this.#write({ type: "call", call: noted });
    return { call: noted, fault };
  }

  closeCall(end: CallEnd): void {
    this.#write({ type: "call-end", end });
  }

  /** Whether a start now is within the quota of this key and model; counts it if so. */
  takeStart(keyHash: string, model: Model): boolean {
    const { settings } = this;
    const quota = quotaOf(settings, model);
    if (quota === null || settings.quota === "off") return true;
    const lane = `${keyHash} ${model.name}`;
    const nowMs = this.#now();
    const { admitted, kept } = admit(settings.quota, quota, this.#starts.get(lane) ?? [], nowMs);
    this.#starts.set(lane, kept);
    if (admitted || settings.countRefused) this.#write({ type: "start", lane, atMs: nowMs });
    return admitted;
  }

  /** Whether one more read of tasks is within `perSecond` of this key. */
  takeLook(keyHash: string, perSecond: number): boolean {
    const { quota, quotaScale } = this.settings;
    if (quota === "off") return true;
    const lane = `${keyHash} looks`;
    const nowMs = this.#now();
    const { admitted, kept } = admit(
      quota,
      { starts: perSecond, periodMs: 1000 * quotaScale },
      this.#starts.get(lane) ?? [],
      nowMs,
    );
    // Not written to the journal, because it matters for one second only.
    this.#starts.set(lane, admitted ? [...kept, nowMs] : kept);
    return admitted;
  }

  /** Records billed images. Call it before the answer that carries them is sent. */
  bill(images: readonly BilledImage[]): void {
    if (images.length > 0) this.#write({ type: "billed", images: [...images] });
  }

  noteDownload(path: string, status: number | null): void {
    this.#write({ type: "download", path, atMs: this.#now(), status });
  }

  takeTask(task: TaskTaken): void {
    this.settleTasks();
    this.#write({ type: "task", task });
  }

  /** How many tasks of this key and model have not ended yet. */
  openTasks(keyHash: string, model: string): number {
    return this.tasks().filter(
      ({ facts, status }) =>
        facts.keyHash === keyHash && facts.model === model && (status === "PENDING" || status === "RUNNING"),
    ).length;
  }

  task(id: string): TaskView<TaskTaken> | null {
    this.settleTasks();
    return this.#tasks.view(id, this.#now(), this.settings.taskKeptMs);
  }

  tasks(): TaskView<TaskTaken>[] {
    this.settleTasks();
    return this.#tasks.views(this.#now(), this.settings.taskKeptMs);
  }

  /** Permits uploads below a folder. */
  grantUpload(grant: UploadGrant): void {
    this.#write({ type: "upload-grant", grant });
  }

  /** The grant for a file with this key: account and model; null when there is none. */
  uploadGrant(key: string): UploadGrant | null {
    return this.#grants.get(key.slice(0, key.lastIndexOf("/"))) ?? null;
  }

  addUpload(upload: Upload): void {
    this.#write({ type: "upload", upload });
  }

  upload(key: string): Upload | null {
    return this.#uploads.get(key) ?? null;
  }

  /** Cancels a PENDING task; false when the task is not PENDING. */
  cancelTask(id: string): boolean {
    if (this.task(id)?.status !== "PENDING") return false;
    this.#write({ type: "task-canceled", id, atMs: this.#now() });
    return true;
  }

  /** Bills what tasks have made by now. Called before anything that could show it. */
  settleTasks(): void {
    const ended = [...this.#ended, ...this.#tasks.advance(this.#now())];
    this.#ended = [];
    for (const { facts, endedAtMs } of ended) {
      const atMs = endedAtMs ?? this.#now();
      if (facts.fate.kind !== "succeed" || this.#ledger.imagesOfTask(facts.id).length > 0) continue;
      this.bill(facts.images.map((image) => ({ ...image, atMs, expiresAtMs: atMs + image.expiresAtMs })));
    }
  }

  /** Deletes everything: ledger, tasks, links, quota windows, rules, changed settings. The start's rules are restored. */
  reset(): void {
    this.#journal.clear();
    this.#patch = {};
    this.#rules = [];
    this.#ruleCount = 0;
    this.#ledger = new Ledger();
    this.#tasks = new TaskBoard();
    this.#ended = [];
    this.#starts = new Map();
    this.#grants = new Map();
    this.#uploads = new Map();
    this.#random = seededRandom(hashText(`${this.#base.seed} 0`));
    for (const rule of this.#startRules) this.addRule(rule);
  }

  close(): void {
    this.#journal.close();
  }

  #write(entry: JournalEntry): void {
    this.#journal.append(entry);
    this.#apply(entry);
  }

  #apply(entry: JournalEntry): void {
    this.#ledger.apply(entry);
    switch (entry.type) {
      case "start":
        this.#starts.set(entry.lane, [...(this.#starts.get(entry.lane) ?? []), entry.atMs]);
        return;
      case "task":
        // Tasks that ended before this one came must free their places first.
        this.#ended.push(...this.#tasks.advance(entry.task.submittedAtMs));
        this.#tasks.add(entry.task);
        return;
      case "task-canceled":
        this.#ended.push(...this.#tasks.advance(entry.atMs));
        this.#tasks.cancel(entry.id, entry.atMs);
        return;
      case "upload-grant":
        this.#grants.set(entry.grant.dir, entry.grant);
        return;
      case "upload":
        this.#uploads.set(entry.upload.key, entry.upload);
        return;
      case "settings":
        this.#patch = { ...this.#patch, ...entry.patch };
        return;
      case "rules":
        this.#rules = entry.rules;
        this.#ruleCount = Math.max(this.#ruleCount, ...entry.rules.map((rule) => Number(rule.id.replace("rule-", ""))));
        return;
      default:
        return;
    }
  }
}
