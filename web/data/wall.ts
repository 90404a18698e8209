import { DENSITY_NAME, readStored, writeStored } from "./browser-storage.ts";
import { createStore } from "./store.ts";

/** How much of each job the wall shows: a card with all facts, print and prompt, or only the print. */
export type Density = "cards" | "small" | "bare";

const DENSITIES: readonly Density[] = ["cards", "small", "bare"];

export const density = createStore<Density>(DENSITIES.find((known) => known === readStored(DENSITY_NAME)) ?? "cards");

/** Changes the density, and keeps it for the next visit. */
export function chooseDensity(next: Density): void {
  density.set(next);
  writeStored(DENSITY_NAME, next);
}

/** Where a person left the wall: the filter, the scroll position, and the job that was opened. */
export interface WallPlace {
  readonly search: string;
  readonly scrollY: number;
  readonly jobId: string | null;
}

let left: WallPlace = { search: "", scrollY: 0, jobId: null };

export function leaveWall(place: WallPlace): void {
  left = place;
}

/** The place where the wall was left last. */
export function lastWallPlace(): WallPlace {
  return left;
}

/** Notes the job that a person looks at now, so that the wall shows it when they come back. */
export function lookAt(jobId: string): void {
  left = { ...left, jobId };
}

/** The jobs chosen on the wall. */
export const selection = createStore<ReadonlySet<string>>(new Set());

/** Whether a press on a card chooses it. True from the first choice on. */
export const isSelecting = createStore(false);

/** The job chosen last, from which a range is chosen. */
let anchor: string | null = null;

export function toggleSelected(id: string): void {
  const next = new Set(selection.get());
  if (!next.delete(id)) next.add(id);
  anchor = id;
  selection.set(next);
  if (next.size > 0) isSelecting.set(true);
}

/** Chooses all from the job chosen last to this one, in the order of the wall. */
export function selectTo(id: string, order: readonly string[]): void {
  const from = anchor === null ? -1 : order.indexOf(anchor);
  const to = order.indexOf(id);
  if (from < 0 || to < 0) {
    toggleSelected(id);
    return;
  }
  selection.set(new Set([...selection.get(), ...order.slice(Math.min(from, to), Math.max(from, to) + 1)]));
}

export function selectAll(ids: readonly string[]): void {
  selection.set(new Set(ids));
  isSelecting.set(ids.length > 0);
}

/** Ends choosing. */
export function endSelecting(): void {
  selection.set(new Set());
  isSelecting.set(false);
  anchor = null;
}
