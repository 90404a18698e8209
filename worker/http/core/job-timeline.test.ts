import { describe, expect, it } from "vitest";
import type { JobEvent } from "../../../schemas/event.ts";
import { type Attempt, type Job, NO_REASON } from "../../../schemas/job.ts";
import type { Delivery, DeliveryTry } from "../../../schemas/webhook.ts";
import { jobTimeline } from "./job-timeline.ts";
import { bytesText, durationText, inertText, quotedLines, shellQuoted } from "./terminal-text.ts";

const id = "job_V1StGXR8_Z5jdHi6B-myT";
const start = Date.parse("2026-11-23T12:00:00.000Z");
const at = (seconds: number) => new Date(start + seconds * 1000).toISOString();
const self = `https://d.example/api/jobs/${id}`;

function job(changes: Partial<Job> = {}, request: Partial<Job["request"]> = {}): Job {
  return {
    id,
    workflow: "image-from-text",
    model: "qwen-image-max",
    status: "queued",
    done: false,
    seq: 1,
    createdAt: at(0),
    updatedAt: at(0),
    startedAt: null,
    finishedAt: null,
    deadlineAt: at(86_400),
    expiresAt: null,
    pinned: false,
    request: {
      prompt: "a red bicycle in the rain",
      negativePrompt: null,
      size: "1664*928",
      n: 1,
      seed: 233,
      promptExtend: null,
      watermark: null,
      images: [],
      priority: "normal",
      maxAttempts: 4,
      deadlineSeconds: 86_400,
      onUncertain: "retry",
      ...request,
    },
    queue: null,
    phase: null,
    attempts: [],
    output: null,
    cost: null,
    error: null,
    warnings: [],
    metadata: {},
    links: {
      self,
      events: `${self}/events?end=1&signature=x`,
      cancel: `${self}/cancel`,
      retry: `${self}/retry`,
      page: "",
    },
    ...changes,
  };
}

function attempt(changes: Partial<Attempt>): Attempt {
  return {
    number: 1,
    startedAt: at(2),
    finishedAt: null,
    durationMs: null,
    outcome: null,
    counted: true,
    mayBeBilled: false,
    stillOpen: false,
    upstream: { httpStatus: null, code: null, message: null, requestId: null, taskId: null },
    retryAt: null,
    ...changes,
  };
}

const upstream = (changes: Partial<Attempt["upstream"]> = {}) => ({ ...attempt({}).upstream, ...changes });

/** A log with numbered events. The job's first event is its submission. */
function log(
  ...events: readonly (readonly [seconds: number, type: JobEvent["type"], data?: JobEvent["data"]])[]
): JobEvent[] {
  const all = [[0, "job.queued", {}] as const, ...events];
  return all.map(([seconds, type, data], index) => ({ seq: index + 1, at: at(seconds), type, data: data ?? {} }));
}

const timeline = (told: Job, events: readonly JobEvent[], seconds: number, withToken = false) =>
  jobTimeline(told, events, { nowMs: start + seconds * 1000, budgetMs: 45_000, lateAnswerMs: 300_000, withToken });

describe("jobTimeline", () => {
  it("shows a waiting job's place, start and commands", () => {
    const queue = {
      position: 4,
      estimatedStartAt: at(90),
      waitingOn: "quota",
      reason: NO_REASON,
      detail: "4th in line; the next start is allowed at 12:00:30 (2 a minute)",
    } as const;
    expect(timeline(job({ queue }), log(), 5, true)).toMatchInlineSnapshot(`
      "job_V1StGXR8_Z5jdHi6B-myT  queued
      image-from-text · qwen-image-max · 1664*928 · seed 233

        | a red bicycle in the rain

      What happened (2026-11-23, UTC)
        12:00:00    submitted

      What happens next
        place       4th in line
        starts      about 12:01:30 (in 1 min 25 s)
        quota       4th in line; the next start is allowed at 12:00:30 (2 a minute)
        attempts    0 of 4 used
        gives up    2026-11-24 12:00:00 (in 23 h 59 min)

      Commands
        watch       curl -N -H 'Accept: text/event-stream' 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/events?end=1&signature=x'
        wait        curl -H 'Prefer: wait=60' -H 'Accept: text/plain' 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT' -H "Authorization: Bearer $DARKROOM_TOKEN"
        cancel      curl -X POST 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/cancel' -H "Authorization: Bearer $DARKROOM_TOKEN"
        log         curl 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/events' -H "Authorization: Bearer $DARKROOM_TOKEN"
        json        curl 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT' -H "Authorization: Bearer $DARKROOM_TOKEN"
        delete      curl -X DELETE 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT' -H "Authorization: Bearer $DARKROOM_TOKEN"
      "
    `);
  });

  it("shows each attempt with upstream's own message, and what comes next", () => {
    const failed = attempt({
      finishedAt: at(47),
      durationMs: 45_000,
      outcome: "timed_out",
      mayBeBilled: true,
      stillOpen: true,
      retryAt: at(62),
    });
    const refused = attempt({
      number: 2,
      startedAt: at(62),
      finishedAt: at(63.5),
      durationMs: 1500,
      outcome: "throttled",
      counted: false,
      upstream: {
        httpStatus: 429,
        code: "Throttling.RateQuota",
        message: "Requests rate limit exceeded",
        requestId: "5795d646-7395",
        taskId: null,
      },
    });
    const running = attempt({ number: 3, startedAt: at(123) });
    const events = log(
      [2, "attempt.started", { attempt: 1 }],
      [
        47,
        "attempt.finished",
        {
          attempt: 1,
          outcome: "timed_out",
          counted: true,
          mayBeBilled: true,
          durationMs: 45_000,
          upstream: upstream(),
        },
      ],
      [47, "job.retrying", { attempt: 1, retryAt: at(62), reason: "no answer within 45 s" }],
      [62, "job.queued", { reason: "the wait after the last failure is over" }],
      [62, "attempt.started", { attempt: 2 }],
      [
        63.5,
        "attempt.finished",
        {
          attempt: 2,
          outcome: "throttled",
          counted: false,
          mayBeBilled: false,
          durationMs: 1500,
          upstream: refused.upstream,
        },
      ],
      [63.5, "job.queued", { reason: "upstream throttled; waits in its old place" }],
      [123, "attempt.started", { attempt: 3 }],
    );
    const text = timeline(
      job({ status: "running", phase: "generating", attempts: [failed, refused, running] }),
      events,
      135,
    );
    expect(text).toMatchInlineSnapshot(`
      "job_V1StGXR8_Z5jdHi6B-myT  running (generating)
      image-from-text · qwen-image-max · 1664*928 · seed 233

        | a red bicycle in the rain

      What happened (2026-11-23, UTC)
        12:00:00    submitted
        12:00:02    attempt 1 started
        12:00:47    attempt 1 ran out of its budget (after 45 s, may be billed)
        12:00:47    waits until 12:01:02 before the next try: no answer within 45 s
        12:01:02    in line again: the wait after the last failure is over
        12:01:02    attempt 2 started
        12:01:03    attempt 2 was throttled (after 1.5 s, not counted)
                    upstream: HTTP 429 Throttling.RateQuota “Requests rate limit exceeded”, request 5795d646-7395
        12:01:03    in line again: upstream throttled; waits in its old place
        12:02:03    attempt 3 started
        now         the call of attempt 1 is still open: should its answer come, it is taken
        now         attempt 3 has been running for 12 s

      What happens next
        now         upstream is at work
        budget      until 12:02:48 (in 33 s)
        attempts    2 of 4 used
        gives up    2026-11-24 12:00:00 (in 23 h 57 min)

      Commands
        watch       curl -N -H 'Accept: text/event-stream' 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/events?end=1&signature=x'
        wait        curl -H 'Prefer: wait=60' -H 'Accept: text/plain' 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT'
        cancel      curl -X POST 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/cancel'
        log         curl 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/events'
        json        curl 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT'
        delete      curl -X DELETE 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT'
      "
    `);
  });

  const DELIVERED = log(
    [2, "attempt.started", { attempt: 1 }],
    [
      19,
      "attempt.finished",
      {
        attempt: 1,
        outcome: "succeeded",
        counted: true,
        mayBeBilled: true,
        durationMs: 17_000,
        upstream: upstream({ httpStatus: 200, requestId: "r-9" }),
      },
    ],
    [19, "job.storing", { attempt: 1, images: 1 }],
    [20, "job.succeeded", { attempt: 1, images: 1 }],
  );

  it("shows why delivered images are not stored yet, and when the copy is tried again", () => {
    const message = "upstream has delivered, but 1 of 1 images could not be copied yet: the result host answered 503";
    const storing = job({
      status: "running",
      phase: "storing",
      attempts: [attempt({ finishedAt: at(19), durationMs: 17_000, outcome: "succeeded" })],
      warnings: [{ code: "storing_delayed", message }],
    });
    const events = [
      ...DELIVERED.slice(0, 4),
      ...log([
        20,
        "job.storing",
        { attempt: 1, images: 1, retryAt: at(52), reason: "the result host answered 503" },
      ]).slice(1),
    ];
    expect(timeline(storing, events, 22).split("\n").slice(5, 17).join("\n")).toMatchInlineSnapshot(`
      "What happened (2026-11-23, UTC)
        12:00:00    submitted
        12:00:02    attempt 1 started
        12:00:19    attempt 1 delivered (after 17 s)
                    upstream: HTTP 200, request r-9
        12:00:19    copying 1 image
        12:00:20    1 image not copied, again at 12:00:52: the result host answered 503

      What happens next
        now         upstream delivered; the images are being stored
        next copy   12:00:52 (in 30 s)
        delayed     upstream has delivered, but 1 of 1 images could not be copied yet: the result host answered 503"
    `);
  });

  it("shows what a job waits for that has no attempt left but an open call", () => {
    const late = attempt({ finishedAt: at(47), durationMs: 45_000, outcome: "timed_out", stillOpen: true });
    const text = timeline(job({ status: "running", phase: "generating", attempts: [late] }), log(), 60);
    expect(text).toContain(
      "  now         waits for the open call, until 12:05:02 (in 4 min 2 s); no attempt is left\n",
    );
  });

  it("shows the run before a retry by hand, its failure and the retry", () => {
    const error = {
      code: "content_rejected",
      message: "moderation refused it",
      hint: "Change it.",
      upstream: null,
    } as const;
    const events = log(
      [2, "attempt.started", { attempt: 1 }],
      [
        3,
        "attempt.finished",
        {
          attempt: 1,
          outcome: "failed",
          counted: true,
          mayBeBilled: false,
          durationMs: 1000,
          upstream: upstream({ httpStatus: 400, code: "DataInspectionFailed" }),
        },
      ],
      [3, "job.failed", { error }],
      [60, "job.retried"],
    );
    expect(timeline(job(), events, 61).split("\n").slice(5, 12).join("\n")).toMatchInlineSnapshot(`
      "What happened (2026-11-23, UTC)
        12:00:00    submitted
        12:00:02    attempt 1 started
        12:00:03    attempt 1 failed (after 1.0 s, not billed)
                    upstream: HTTP 400 DataInspectionFailed
        12:00:03    failed, content_rejected: moderation refused it
        12:01:00    retried by hand: attempts and deadline start again"
    `);
  });

  it("counts only the attempts since the last retry by hand", () => {
    const over = { finishedAt: at(3), outcome: "failed" } as const;
    const attempts = [1, 2, 3, 4].map((number) => attempt({ number, startedAt: at(number), ...over }));
    const again = [...attempts, attempt({ number: 5, startedAt: at(61) })];
    // A retry starts the deadline again.
    const deadlineAt = at(60 + 86_400);
    const retried = job({ status: "running", phase: "generating", deadlineAt, attempts: again });
    expect(timeline(retried, log([60, "job.retried"]), 62)).toContain("attempts    1 of 4 used\n");
    expect(timeline(job({ attempts: attempts.slice(0, 3) }), log(), 62)).toContain("attempts    3 of 4 used\n");
  });

  it("shows how many events of a long log it leaves out", () => {
    const events = log(
      ...Array.from({ length: 200 }, (_, index) => [index, "attempt.started", { attempt: index + 1 }] as const),
    );
    const text = timeline(job(), events.slice(-3), 300);
    expect(text).toContain(
      "  12:00:00    submitted\n  …           197 earlier events, see the command “log”\n  12:03:17    attempt 198 started\n",
    );
    expect(text).toContain(`  log         curl '${self}/events'\n`);
  });

  it("shows where the images are and until when", () => {
    const image = {
      index: 0,
      url: `${self}/images/0?end=1&signature=y`,
      contentType: "image/png",
      width: 1664,
      height: 928,
      bytes: 1_534_201,
      sha256: "ab".repeat(32),
    };
    const done = job({
      status: "succeeded",
      done: true,
      finishedAt: at(20),
      expiresAt: at(20 + 30 * 86_400),
      attempts: [attempt({ finishedAt: at(19), durationMs: 17_000, outcome: "succeeded" })],
      output: { images: [image] },
      warnings: [{ code: "prompt_too_long", message: "it may cut" }],
      metadata: { order: 17 },
    });
    expect(timeline(done, DELIVERED, 25)).toMatchInlineSnapshot(`
      "job_V1StGXR8_Z5jdHi6B-myT  succeeded
      image-from-text · qwen-image-max · 1664*928 · seed 233

        | a red bicycle in the rain

      What happened (2026-11-23, UTC)
        12:00:00    submitted
        12:00:02    attempt 1 started
        12:00:19    attempt 1 delivered (after 17 s)
                    upstream: HTTP 200, request r-9
        12:00:19    copying 1 image
        12:00:20    succeeded

      How it ended
        kept until  2026-12-23 12:00:20 (in 29 d 23 h)

      Images
        image 0     1664×928 image/png, 1.5 MB
                    sha256 abababababababababababababababababababababababababababababababab
                    curl -o job_V1StGXR8_Z5jdHi6B-myT-0.png 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/images/0?end=1&signature=y'

      Warnings
                    prompt_too_long: it may cut

      Metadata
        order       17

      Commands
        log         curl 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/events'
        json        curl 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT'
        delete      curl -X DELETE 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT'
      "
    `);
  });

  it("shows each event for the webhook: its newest try, what comes next, and how to send it again by hand", () => {
    const failed = job({ status: "failed", done: true, finishedAt: at(20) });
    const tried = (number: number, error: string | null): DeliveryTry => ({
      number,
      startedAt: at(20 + number),
      finishedAt: at(21 + number),
      durationMs: 1_000,
      status: error === null ? 204 : 503,
      error,
      answer: null,
    });
    const event = (number: number, changes: Partial<Delivery>): Delivery => ({
      number,
      id: `${id}.${number}`,
      type: "job.failed",
      url: "https://app.example.com/hook",
      state: "pending",
      reason: null,
      createdAt: at(20),
      nextTryAt: null,
      tries: [],
      ...changes,
    });
    const deliveries = [
      event(4, { state: "delivered", tries: [tried(1, null)] }),
      event(7, { nextTryAt: at(325), tries: [tried(1, "HTTP 503"), tried(2, "HTTP 503\u001b[2J")] }),
      event(9, { state: "gone", reason: "the receiver answered 410", tries: [tried(1, "HTTP 410")] }),
    ];
    const text = jobTimeline(failed, [], {
      nowMs: start + 25_000,
      budgetMs: 45_000,
      lateAnswerMs: 300_000,
      withToken: true,
      deliveries,
    });
    expect(text.slice(text.indexOf("Webhook"), text.indexOf("\nCommands"))).toMatchInlineSnapshot(`
      "Webhook
        event 4     job.failed delivered: 1 try
                    to https://app.example.com/hook
        event 7     job.failed pending: 2 tries; HTTP 503\\u{1b}[2J; next try at 12:05:25 (in 5 min)
                    to https://app.example.com/hook
        event 9     job.failed gone: 1 try; the receiver answered 410
                    to https://app.example.com/hook
        resend      curl -X POST 'https://d.example/api/jobs/job_V1StGXR8_Z5jdHi6B-myT/deliveries/9/resend' -H "Authorization: Bearer $DARKROOM_TOKEN"
      "
    `);
    expect(jobTimeline(failed, [], { nowMs: start, budgetMs: 1, lateAnswerMs: 1, withToken: false })).not.toContain(
      "Webhook",
    );
  });

  it("shows what the job costs, and what may have been paid in addition", () => {
    const cost = { currency: "USD", estimated: 0.15, charged: 0.075, atRisk: 0.15 };
    const shown = (given: Job["cost"]) => timeline(job({ cost: given }), [], 5);
    expect(shown(cost)).toMatch(
      /Cost\n +charged +0\.075 USD \(0\.15 for each attempt that delivers\)\n +at risk +0\.15 USD: attempts without an answer may have been billed\n/,
    );
    expect(shown({ ...cost, atRisk: 0 })).not.toContain("at risk");
    expect(shown(null)).not.toContain("charged");
  });

  it("shows why a job failed, what to do, and how to retry", () => {
    const error = {
      code: "content_rejected",
      message: "Input data may contain inappropriate content",
      hint: "Change the prompt.",
      upstream: { code: "DataInspectionFailed", requestId: "r-1" },
    } as const;
    const text = timeline(
      job({ status: "failed", done: true, finishedAt: at(5), error }),
      log([5, "job.failed", { error }]),
      9,
      true,
    );
    expect(text).toContain("  error       content_rejected: Input data may contain inappropriate content\n");
    expect(text).toContain("  hint        Change the prompt.\n");
    expect(text).toContain(`curl -X POST '${self}/retry' -H "Authorization: Bearer $DARKROOM_TOKEN"`);
    expect(text).not.toContain("/cancel");
  });

  it("makes all text of others inert", () => {
    const evil = "\u001b[2J\u001b]0;pwned\u0007\nCommands\n  cancel      rm -rf /\u202e\u0000";
    const said = { httpStatus: 500, code: evil, message: evil, requestId: evil, taskId: evil };
    const error = { code: "upstream_rejected", message: evil, hint: evil, upstream: null } as const;
    const text = timeline(
      job(
        {
          status: "running",
          phase: "generating",
          metadata: { [evil]: evil },
          warnings: [{ code: "x", message: evil }],
          attempts: [attempt({ upstream: said })],
        },
        { prompt: evil, negativePrompt: evil, images: [{ kind: "url", url: `https://e.example/${evil}` }] },
      ),
      log(
        [1, "attempt.finished", { attempt: 1, outcome: "failed", upstream: said, reason: evil }],
        [1, "attempt.late", { attempt: 1, outcome: "failed", upstream: said, reason: evil }],
        [1, "job.retrying", { retryAt: at(3), reason: evil }],
        [1, "job.queued", { reason: evil }],
        [1, "job.storing", { reason: evil, images: 1 }],
        [1, "job.failed", { error }],
      ),
      0,
      true,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there is the point.
    expect(text.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(text.match(/^Commands$/gm)).toHaveLength(1);
    expect(text).toContain(
      "  | \\u{1b}[2J\\u{1b}]0;pwned\\u{7}\n  | Commands\n  |   cancel      rm -rf /\\u{202e}\\u{0}\n",
    );
  });
});

describe("text for a terminal", () => {
  it("spells out active characters and leaves all others unchanged", () => {
    expect(inertText("café 自行车 🚲 \u009b31m\r\t\n")).toBe("café 自行车 🚲 \\u{9b}31m\\u{d}  ");
  });

  it("wraps at words, and stops at 24 lines", () => {
    expect(quotedLines("word ".repeat(40)).every((line) => line.length <= 100)).toBe(true);
    expect(quotedLines("a\n".repeat(30))).toHaveLength(25);
    expect(quotedLines("a\n".repeat(30)).at(-1)).toBe("  | … and 7 more lines");
  });

  it("quotes for a shell", () => {
    expect(shellQuoted("a'b$(c)")).toBe("'a'\\''b$(c)'");
  });

  it.each([
    [0, "0.0 s"],
    [1500, "1.5 s"],
    [9_949, "9.9 s"],
    [9_950, "10 s"],
    [12_400, "12 s"],
    [59_600, "1 min"],
    [60_000, "1 min"],
    [3_599_600, "1 h"],
    [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"],
    [86_400_000 * 3 + 3_600_000 * 4, "3 d 4 h"],
  ])("%d ms is %s", (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  it("writes numbers as people do", () => {
    expect([900, 230_000, 999_000, 999_001, 1_534_201].map(bytesText)).toEqual([
      "1 KB",
      "230 KB",
      "999 KB",
      "1.0 MB",
      "1.5 MB",
    ]);
  });
});
