import { createHash } from "node:crypto";
import { within } from "../bounds.ts";
import { HEARD_EVERY_MS } from "../catalog/core/held-marks.ts";
import type { HttpContext } from "../http/context.ts";
import { preferredWaitSeconds } from "../http/core/request-headers.ts";
import { jobProblem } from "../http/job-answers.ts";
import type { JobView } from "../job/contract.ts";
import { catalogStub, jobStub } from "../stubs.ts";

/** Node's fetch gives up after 300.9 s without an answer. The rest is for the answer's way back. */
export const HOLD_MS = 280_000;
/** The bound on one call to the job's object. After a restart of the object the next call reaches it again. */
const WAIT_MS = 30_000;
const WAIT_SLACK_MS = 1_000;
const AGAIN_MS = 1_000;
const CATALOG_BOUND_MS = 5_000;
const CATALOG_TRIES = 3;
/** The clocks of two machines differ by less than this, in ms. */
const CLOCKS_DIFFER_MS = 1_000;

/** The catalog's answer to an idempotent call, which is repeated when it fails. */
async function answered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      return await within(CATALOG_BOUND_MS, "the catalog", call());
    } catch (error) {
      if (tries === CATALOG_TRIES) throw error;
      await scheduler.wait(AGAIN_MS);
    }
  }
}

/** A request that holds its answer, as recorded in its client's catalog. */
export class Hold {
  readonly #c: HttpContext;
  readonly #client: string;
  readonly #holder: string;
  /** Identifies the jobs to wait for. */
  readonly key: string;
  readonly #saying: ReturnType<typeof setInterval>;
  readonly #settling: { delivered?: Promise<void>; undelivered?: Promise<void> } = {};
  #isTaken = false;

  private constructor(c: HttpContext, client: string, key: string, holder: string) {
    this.#c = c;
    this.#client = client;
    this.key = key;
    this.#holder = holder;
    this.#saying = setInterval(() => void this.#sayItWaits(), HEARD_EVERY_MS);
    const { signal } = c.req.raw;
    signal.addEventListener("abort", () => void this.undelivered());
    // The client hung up while the mark was stored.
    if (signal.aborted) void this.undelivered();
  }

  /** Stores that this request waits for an answer, before anything is paid for. `ownKey` is used if the request is no repetition. */
  static async begin(
    c: HttpContext,
    client: string,
    fingerprint: string,
    ownKey: string,
    receivedAtMs: number,
  ): Promise<Hold> {
    const holder = crypto.randomUUID();
    const { hiddenHangUpMs } = c.get("config");
    const claim = {
      fingerprint: createHash("sha256").update(fingerprint).digest("base64url"),
      key: ownKey,
      holder,
      isRepeat: Number(c.req.header("x-stainless-retry-count") ?? 0) >= 1,
      receivedAtMs,
      ...(hiddenHangUpMs === null ? {} : { hiddenHangUpMs }),
    };
    const key = await answered(() => {
      const untilMs = Date.now() + CATALOG_BOUND_MS + CLOCKS_DIFFER_MS;
      return catalogStub(c.env, client).claimHeld({ ...claim, untilMs });
    });
    return new Hold(c, client, key, holder);
  }

  /**
   * The client gets its answer: the same request again is a new one, unless it says within seconds that it is a repetition. Await
   * it before the answer's last byte is sent.
   */
  delivered(): Promise<void> {
    return this.#settling.undelivered ?? this.#settle("delivered");
  }

  /** The answer's last byte is taken, so that a hang-up changes nothing any more. */
  taken(): void {
    this.#isTaken = true;
  }

  /**
   * The client has no answer: the next identical request takes the jobs, also when `delivered` was called and the last byte is not
   * taken. Await it before the client is answered, because it may ask again at once. The call is completed even when the request
   * ends before.
   */
  async undelivered(): Promise<void> {
    if (this.#isTaken) return;
    const settled = this.#settle("undelivered");
    this.#c.executionCtx.waitUntil(settled);
    await settled;
  }

  /** Reports that this request still waits. Without a report for a while, the catalog gives the jobs to the next identical request. */
  async #sayItWaits(): Promise<void> {
    try {
      const asked = catalogStub(this.#c.env, this.#client).stillHeld(this.key, this.#holder);
      if (!(await within(CATALOG_BOUND_MS, "the catalog", asked))) clearInterval(this.#saying);
    } catch (error) {
      console.error({ event: "hold_not_heard", client: this.#client, error: String(error) });
    }
  }

  #settle(how: "delivered" | "undelivered"): Promise<void> {
    clearInterval(this.#saying);
    const settle = () => catalogStub(this.#c.env, this.#client).settleHeld(this.key, this.#holder, how);
    this.#settling[how] ??= answered(settle).catch((error: unknown) => {
      // The mark stays, and the reports end: the same request a little later takes the same jobs and pays nothing.
      console.error({ event: "hold_not_settled", client: this.#client, how, error: String(error) });
    });
    return this.#settling[how];
  }
}

/** When an answer stops being held. `Prefer: wait=N` shortens it. */
export function holdEndsAtMs(c: HttpContext, receivedAtMs: number): number {
  const seconds = preferredWaitSeconds(c.req.header("prefer"));
  return receivedAtMs + Math.min(HOLD_MS, seconds === null ? HOLD_MS : seconds * 1000);
}

/**
 * The job once it is done; at `endsAtMs`, or when the client hangs up, its last known state. Throws when the job is removed
 * meanwhile.
 */
export async function onceDone(c: HttpContext, client: string, placed: JobView, endsAtMs: number): Promise<JobView> {
  const { signal } = c.req.raw;
  const gone = Promise.withResolvers<null>();
  const stop = () => gone.resolve(null);
  signal.addEventListener("abort", stop);
  try {
    let view = placed;
    while (!view.done && !signal.aborted) {
      const waitMs = Math.min(WAIT_MS, endsAtMs - Date.now());
      if (waitMs <= 0) break;
      try {
        const waiting = jobStub(c.env, placed.id).wait(client, null, waitMs);
        const answer = await Promise.race([within(waitMs + WAIT_SLACK_MS, "the job", waiting), gone.promise]);
        if (answer === null) break;
        if (!answer.ok) throw jobProblem(answer);
        view = answer.view;
      } catch (error) {
        if (error instanceof Error && error.name === "ProblemError") throw error;
        console.error({ event: "hold_failed", jobId: placed.id, error: String(error) });
        await scheduler.wait(Math.min(AGAIN_MS, Math.max(0, endsAtMs - Date.now())));
      }
    }
    return view;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const utf8 = new TextEncoder();

/**
 * A body of `chunks` and then `end`. It counts as delivered once the runtime has taken everything before `end`; a body that
 * is not read that far is undelivered. `hold` is null when no mark is stored for the request.
 */
export function heldBody(
  hold: Hold | null,
  chunks: AsyncIterable<Uint8Array>,
  end: string,
): ReadableStream<Uint8Array> {
  const held = untilDelivered(hold, chunks, end);
  const source: UnderlyingSource<Uint8Array> = {
    async pull(controller) {
      const { value, done } = await held.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await hold?.undelivered();
      await held.return(undefined);
    },
  };
  // Nothing is read ahead: a chunk is requested only after the previous one was taken.
  return new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
}

async function* untilDelivered(
  hold: Hold | null,
  chunks: AsyncIterable<Uint8Array>,
  end: string,
): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
    await hold?.delivered();
    yield utf8.encode(end);
    hold?.taken();
  } finally {
    // This does nothing once the last byte is taken.
    await hold?.undelivered();
  }
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield utf8.encode(text);
}

/** The JSON answer to a request that waited. */
export function heldJson(
  hold: Hold | null,
  body: object,
  status: number,
  headers: Readonly<Record<string, string>>,
): Response {
  const text = JSON.stringify(body);
  return new Response(heldBody(hold, oneChunk(text.slice(0, -1)), text.slice(-1)), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });
}
