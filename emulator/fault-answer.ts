/** The answers of faults: instead of the work, or in place of its good answer. */

import { refusalOf } from "./core/error-table.ts";
import type { Fault } from "./core/fault.ts";
import type { Clock, Emulator } from "./emulator.ts";
import type { CallStart } from "./journal.ts";
import {
  type Arrival,
  cut,
  cutAmid,
  type EmulatorContext,
  gatewayPage,
  hugeResponse,
  refusalResponse,
  textResponse,
  wireResponse,
} from "./wire-response.ts";

/** The result of a call, for the caller and for the ledger. `status: null`: the connection was cut. */
export interface Outcome {
  readonly response: Response;
  readonly status: number | null;
  readonly code?: string;
  readonly taskId?: string;
  readonly billedImages?: number;
}

/** Aborts when the caller hangs up or the server stops. For waits during which nothing is made. */
function whileHere(c: EmulatorContext, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  c.env.outgoing.once("close", () => gone.abort());
  return AbortSignal.any([gone.signal, stopping]);
}

/** An unusable answer; null for faults of other kinds. */
function unreadable(clock: Clock, arrival: Arrival, fault: Fault, good: object): Outcome | null {
  switch (fault.type) {
    case "empty-body":
      return { response: textResponse(clock, arrival, fault.status, "", "application/json"), status: fault.status };
    case "bad-json": {
      const text = JSON.stringify(good);
      const cutText = text.slice(0, Math.floor(text.length * 0.6));
      return { response: textResponse(clock, arrival, 200, cutText, "application/json"), status: 200 };
    }
    case "empty-content": {
      const output = { choices: [{ finish_reason: "stop", message: { content: [], role: "assistant" } }] };
      return { response: wireResponse(clock, arrival, { output, request_id: arrival.requestId }), status: 200 };
    }
    case "huge":
      return { response: hugeResponse(clock, arrival, fault.bytes), status: 200 };
    default:
      return null;
  }
}

/** The answer of a fault that comes instead of any work; null when the call continues. */
export async function earlyAnswer(
  c: EmulatorContext,
  emulator: Emulator,
  arrival: Arrival,
  note: CallStart,
  fault: Fault | null,
): Promise<Outcome | null> {
  const { clock, stopping, state } = emulator;
  if (fault === null) return null;
  switch (fault.type) {
    case "hold":
      if (fault.at !== "arrival") return null;
      await emulator.holds.wait({ callId: note.id, prompt: note.prompt, at: "arrival" }, whileHere(c, stopping));
      return null;
    case "hang": {
      const { status, code, message } = refusalOf("RequestTimeOut");
      const here = whileHere(c, stopping);
      await clock.sleep(state.settings.gatewayTimeoutMs, here);
      if (here.aborted) return { response: cut(c), status: null };
      return { response: refusalResponse(emulator, arrival, { status, code, message }), status, code };
    }
    case "cut-before-billing":
      await clock.sleep(fault.afterMs, stopping);
      return { response: cut(c), status: null };
    case "error": {
      if (fault.afterWork) return null;
      const refusal = refusalOf(fault.code, fault.message, fault.status);
      const response = refusalResponse(emulator, arrival, refusal, fault.retryAfter);
      return { response, status: refusal.status, code: refusal.code };
    }
    case "html":
      return { response: gatewayPage(clock, arrival, fault.status, fault.retryAfter), status: fault.status };
    case "code-in-200": {
      const { code, message } = refusalOf(fault.code);
      const body = { code, message, request_id: arrival.requestId };
      return { response: wireResponse(clock, arrival, body), status: 200, code };
    }
    case "redirect": {
      const headers = { location: fault.location };
      return { response: textResponse(clock, arrival, fault.status, "", null, headers), status: fault.status };
    }
    case "empty-body":
    case "bad-json":
    case "empty-content":
    case "huge": {
      if (fault.billed) return null;
      const good = { output: { choices: [] }, request_id: arrival.requestId };
      return unreadable(clock, arrival, fault, good);
    }
    default:
      return null;
  }
}

/** The answer in place of a good one, after the work was done and billed; null when the good one is sent. */
export async function lateAnswer(
  c: EmulatorContext,
  clock: Clock,
  arrival: Arrival,
  fault: Fault | null,
  good: object,
): Promise<Outcome | null> {
  if (fault === null) return null;
  if (fault.type !== "cut-after-billing") return unreadable(clock, arrival, fault, good);
  if (!fault.partial) return { response: cut(c), status: null };
  const body = Buffer.from(JSON.stringify(good));
  const head = { "content-type": "application/json", "x-request-id": arrival.requestId };
  return { response: await cutAmid(c, head, body, Math.floor(body.length / 2)), status: null };
}
