import { type Attempt, NO_REASON, type QueuePlace } from "../../../schemas/job.ts";
import { foldText } from "../../../schemas/search-text.ts";
import type { CatalogEntry } from "../../catalog/contract.ts";
import type { Place } from "../../lane/contract.ts";
import { toQueuePlace } from "../../lane/core/place.ts";
import { linkEndMs } from "../../results/contract.ts";
import type { JobView } from "../contract.ts";
import { type AttemptRecord, type DeliveryRecord, isFinal, iso, type JobRecord } from "./record.ts";
import { costOf, spendPosition } from "./spend.ts";

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));

const NEWER_FIELDS = { promptExtendMode: null, thinking: null };

/** The public job without links. `place` is the last known place of a queued job. */
export function toJobView(record: JobRecord, place: Place | null): JobView {
  const { state } = record;
  const queue = queueOf(record, place);
  const trouble = deliveryTrouble(record);
  const spend = spendPosition(record);
  return {
    id: record.id,
    client: record.client,
    workflow: record.workflow,
    model: record.model,
    status: state.status,
    done: isFinal(state),
    seq: record.seq,
    createdAt: iso(record.createdAtMs),
    updatedAt: iso(record.updatedAtMs),
    startedAt: isoOrNull(record.startedAtMs),
    finishedAt: "finishedAtMs" in state ? iso(state.finishedAtMs) : null,
    deadlineAt: iso(record.deadlineAtMs),
    expiresAt: isoOrNull(record.expiresAtMs),
    pinned: record.pinned ?? false,
    // Null for fields that are newer than the job's record.
    request: { ...NEWER_FIELDS, ...record.request },
    queue,
    phase: state.status === "running" ? state.phase : null,
    attempts: record.attempts.map(toAttempt),
    cost: costOf(record, spend),
    spend,
    output:
      state.status === "succeeded"
        ? {
            images: state.images.map(({ index, contentType, width, height, bytes, sha256 }) => ({
              index,
              contentType,
              width,
              height,
              bytes,
              sha256,
            })),
          }
        : null,
    error: state.status === "failed" ? state.error : null,
    warnings:
      trouble === null ? record.warnings : [...record.warnings, { code: "storing_delayed", message: trouble.message }],
    metadata: record.metadata,
    copyAgainAt: isoOrNull(trouble?.nextAtMs ?? null),
    tag: queue === null ? `${record.revision}` : `${record.revision}-${hash(JSON.stringify(queue))}`,
  };
}

/** What a reader sees of the record that may change without an event. */
export function visible(record: JobRecord): string {
  const attempts = record.attempts.map(({ billStartedAtMs: _began, unpaid: _bill, ...attempt }) => ({
    ...attempt,
    lease: null,
  }));
  return JSON.stringify([record.state.status, attempts, deliveryTrouble(record)?.message, putOff(record)]);
}

/** When the last link of an image that is still missing ends, in ms; null when none is missing. */
export function lastLinkEndMs({ links, images, deliveredAtMs }: DeliveryRecord): number | null {
  const ends = links.filter((_, index) => images[index] === null).map((link) => linkEndMs(link, deliveredAtMs));
  return ends.length === 0 ? null : Math.max(...ends);
}

/** Why a delivered job is not done yet, for people; null unless a copy has failed since upstream delivered. */
function deliveryTrouble({ state, delivery }: JobRecord): { nextAtMs: number; message: string } | null {
  if (state.status !== "running" || state.phase !== "storing" || delivery === null || delivery.tries === 0) return null;
  const { tries, links, images, lastReason } = delivery;
  const endMs = lastLinkEndMs(delivery) ?? state.storeAtMs;
  const missing = images.filter((image) => image === null).length;
  const failed = tries === 1 ? "one copy has failed" : `${tries} copies have failed`;
  const minute = (ms: number) => `${iso(ms).slice(0, 16).replace("T", " ")} UTC`;
  return {
    nextAtMs: state.storeAtMs,
    message: `Upstream has delivered, but ${missing} of ${links.length} images could not be copied yet: ${lastReason}. So far ${failed}, the next is tried at ${clock(iso(state.storeAtMs))}, and so on until the links end at ${minute(endMs)}. Only the copy is repeated: nothing is generated or paid for again.`,
  };
}

const clock = (at: string): string => `${at.slice(11, 19)} UTC`;

/** Until when, and why, a queued job waits before it asks its lane; null when it does not wait. */
function putOff({ state, outbox }: JobRecord): { readonly untilMs: number; readonly reason: string } | null {
  if (state.status !== "queued") return null;
  const asked = outbox.find(({ kind }) => kind === "enqueue");
  if (asked?.kind !== "enqueue" || asked.payload.reason === null) return null;
  return { untilMs: asked.notBeforeMs ?? 0, reason: asked.payload.reason };
}

function backoffPlace(untilMs: number, failure: string): QueuePlace {
  const estimatedStartAt = iso(untilMs);
  const detail = `waits until ${clock(estimatedStartAt)} before the next try: ${failure}`;
  return { position: null, estimatedStartAt, waitingOn: "backoff", reason: { ...NO_REASON, failure }, detail };
}

function toAttempt(attempt: AttemptRecord): Attempt {
  const { finishedAtMs, startedAtMs } = attempt;
  return {
    number: attempt.number,
    startedAt: iso(startedAtMs),
    finishedAt: isoOrNull(finishedAtMs),
    durationMs: finishedAtMs === null ? null : Math.max(0, finishedAtMs - startedAtMs),
    outcome: attempt.outcome,
    counted: attempt.counted,
    mayBeBilled: attempt.mayBeBilled && attempt.unpaid !== true,
    stillOpen: attempt.stillOpen,
    upstream: attempt.report,
    retryAt: isoOrNull(attempt.retryAtMs),
  };
}

const PLACE_FRESH_LEAST_MS = 2_500;
const PLACE_FRESH_MOST_MS = 20_000;
/** A place counts as fresh for this share of the wait that it estimates. */
const PLACE_FRESH_SHARE = 1 / 20;

/**
 * How long a place is shown without asking the lane again, in ms. In a long queue a place changes relatively less, and more
 * readers ask.
 */
export function placeFreshMs(place: Place, nowMs: number): number {
  const waitMs = place.estimatedStartAtMs === null ? 0 : place.estimatedStartAtMs - nowMs;
  return Math.min(PLACE_FRESH_MOST_MS, Math.max(PLACE_FRESH_LEAST_MS, waitMs * PLACE_FRESH_SHARE));
}

function queueOf(record: JobRecord, place: Place | null): QueuePlace | null {
  const { state } = record;
  if (state.status === "retrying") return backoffPlace(state.retryAtMs, state.reason);
  if (state.status !== "queued") return null;
  const later = putOff(record);
  if (later !== null) return backoffPlace(later.untilMs, later.reason);
  if (place === null) {
    return {
      position: null,
      estimatedStartAt: null,
      waitingOn: "turn",
      reason: NO_REASON,
      detail: "accepted; its place in line is being asked for",
    };
  }
  return toQueuePlace(place);
}

/** FNV-1a, 32 bits: makes two places differ in a tag; nothing secret or durable depends on it. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return (value >>> 0).toString(36);
}

/** The start of the prompt that lists show, in characters. */
const SUMMARY_PROMPT_CHARS = 200;

/** The part of the prompt that searches look in, in characters: more than any model reads. */
const MAX_SEARCH_CHARS = 6_000;

/** The job as its client's catalog keeps it. */
export function toCatalogEntry(record: JobRecord): CatalogEntry {
  const view = toJobView(record, null);
  const retryAt = record.state.status === "retrying" ? iso(record.state.retryAtMs) : view.copyAgainAt;
  return { ...entryOf(view, record.lastAttempt, retryAt), revision: record.revision };
}

/** The entry of a new or retried job, made by the Worker that asked for it. The job's own entry replaces it. */
export function newCatalogEntry(view: JobView): CatalogEntry {
  return { ...entryOf(view, view.attempts.at(-1)?.number ?? 0, null), revision: 1 };
}

function entryOf(view: JobView, attempts: number, retryAt: string | null): CatalogEntry {
  const { request } = view;
  return {
    id: view.id,
    workflow: view.workflow,
    model: view.model,
    status: view.status,
    done: view.done,
    seq: view.seq,
    createdAt: view.createdAt,
    updatedAt: view.updatedAt,
    startedAt: view.startedAt,
    finishedAt: view.finishedAt,
    deadlineAt: view.deadlineAt,
    expiresAt: view.expiresAt,
    pinned: view.pinned,
    queue: view.status === "queued" ? null : view.queue,
    phase: view.phase,
    output: view.output,
    error: view.error,
    prompt: Array.from(request.prompt).slice(0, SUMMARY_PROMPT_CHARS).join(""),
    size: request.size,
    n: request.n,
    attempts,
    retryAt,
    metadata: view.metadata,
    ...(view.spend === null ? {} : { spend: view.spend }),
    searchText: foldText(request.prompt).slice(0, MAX_SEARCH_CHARS),
  };
}
