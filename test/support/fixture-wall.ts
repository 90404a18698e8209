import type { JobEvent } from "../../schemas/event.ts";
import { type Job, NO_REASON } from "../../schemas/job.ts";
import { failed, iso, sketchAttempt, sketchJob, succeeded } from "./fixture-jobs.ts";

const none = { httpStatus: null, code: null, message: null, requestId: null, taskId: null };

const LONG_PROMPT = `Product photograph of a hand-thrown stoneware espresso cup on a weathered oak table beside a window, seven in the morning, low winter sun through steam, dust in the light.
Foreground: crumbs of almond croissant, a folded linen napkin the colour of wet sand. Background: out of focus, a narrow street in Trieste with a passing yellow bus.
Shot on a medium-format camera, 80 mm, f/2.8, portra-like tones, gentle halation around highlights; the glaze must show fine crackle and one drip that stops just above the foot of the cup. No text, no logo, no hands.`;

/** Jobs in every state that the page can show, and enough finished ones to fill a wall. */
export function everyState(): Job[] {
  return [
    sketchJob({
      number: 24,
      agoMs: 6_000,
      prompt: "A lighthouse keeper's kitchen at dusk, enamel pots, a storm behind the window",
      size: "1472*1104",
      change: () => ({
        queue: {
          position: 3,
          estimatedStartAt: iso(72_000),
          waitingOn: "quota",
          reason: { ...NO_REASON, nextStartAt: iso(22_000), starts: 2, periodMs: 60_000, pace: 1 },
          detail: "3rd in line; the next start is allowed at 12:03:30 UTC (2 a minute)",
        },
      }),
    }),
    sketchJob({
      number: 23,
      agoMs: 9_000,
      prompt: "Isometric cutaway of a tiny bakery, paper craft, soft light",
      size: "1328*1328",
      change: () => ({
        queue: {
          position: 1,
          estimatedStartAt: iso(22_000),
          waitingOn: "quota",
          reason: NO_REASON,
          detail: "Next in line; the next start is allowed at 12:02:30 UTC (2 a minute)",
        },
      }),
    }),
    sketchJob({
      number: 22,
      agoMs: 40_000,
      prompt: LONG_PROMPT,
      change: () => ({
        status: "running",
        phase: "generating",
        seq: 2,
        startedAt: iso(-9_000),
        updatedAt: iso(-9_000),
        attempts: [
          sketchAttempt({
            number: 1,
            startedAt: iso(-9_000),
            finishedAt: null,
            durationMs: null,
            outcome: null,
            upstream: none,
          }),
        ],
        warnings: [
          {
            code: "prompt_cut",
            message: "Upstream takes 800 characters of a prompt and cuts the rest without a word.",
          },
        ],
      }),
    }),
    sketchJob({
      number: 21,
      agoMs: 52_000,
      prompt: "Botanical plate of an imaginary fern, ink and watercolour on laid paper",
      size: "928*1664",
      change: () => ({
        status: "running",
        phase: "storing",
        seq: 3,
        startedAt: iso(-25_000),
        updatedAt: iso(-25_000),
        attempts: [sketchAttempt({ number: 1, startedAt: iso(-25_000), finishedAt: iso(-8_000), mayBeBilled: true })],
        warnings: [
          {
            code: "storing_delayed",
            message:
              "Upstream has delivered, but 1 of 1 images could not be copied yet: dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com answered 503 instead of the image. So far 2 copies have failed, the next is tried at 12:03:30 UTC, and so on until the links die at 2026-11-24 12:02 UTC. Only the copy is repeated: nothing is generated or paid for again.",
          },
        ],
      }),
    }),
    sketchJob({
      number: 20,
      agoMs: 95_000,
      prompt: "Street market in the rain, neon reflections, 35 mm film",
      change: () => ({
        status: "retrying",
        seq: 4,
        queue: {
          position: null,
          estimatedStartAt: iso(140_000),
          waitingOn: "backoff",
          reason: { ...NO_REASON, failure: "no answer within 45 s" },
          detail: "waits until 12:03:14 UTC before the next try: no answer within 45 s",
        },
        attempts: [
          sketchAttempt({
            number: 1,
            outcome: "failed",
            startedAt: iso(-90_000),
            durationMs: 2_140,
            upstream: report(500, "InternalError", "An internal error has occured, please try again later."),
            retryAt: iso(-70_000),
          }),
          sketchAttempt({
            number: 2,
            outcome: "timed_out",
            startedAt: iso(-62_000),
            durationMs: 45_000,
            mayBeBilled: true,
            stillOpen: true,
            upstream: none,
            retryAt: iso(140_000),
          }),
        ],
      }),
    }),
    sketchJob({
      number: 19,
      agoMs: 160_000,
      prompt: "Four studies of a heron taking off, charcoal",
      model: "wan2.6-t2i",
      size: "1280*1280",
      change: (job) => ({
        request: { ...job.request, n: 4 },
        queue: {
          position: 1,
          estimatedStartAt: null,
          waitingOn: "blocked",
          reason: {
            ...NO_REASON,
            nextProbeAt: iso(41_000),
            blockedBy: {
              code: "AccessDenied.Unpurchased",
              hint: "This account has not activated the model. Open Model Studio in the region of the key (sg) and activate it",
            },
          },
          detail:
            "Next in line; the lane is blocked by AccessDenied.Unpurchased: This account has not activated the model. Open Model Studio in the region of the key (sg) and activate it. One job a minute probes it, the next at 12:03:41 UTC",
        },
      }),
    }),
    sketchJob({
      number: 18,
      agoMs: 400_000,
      prompt: "Portrait of a violin maker, window light",
      size: "1104*1472",
      change: failed(
        {
          code: "content_rejected",
          message: "DashScope's moderation refused the prompt, an input image or the result (DataInspectionFailed)",
          hint: "Change the wording or the images: the same request will be refused again.",
          upstream: { code: "DataInspectionFailed", requestId: "b4f6c9d2-1f0e-9c3a-a6f1-0d7d3e9a55aa" },
        },
        [
          sketchAttempt({
            number: 1,
            outcome: "failed",
            durationMs: 1_310,
            upstream: report(400, "DataInspectionFailed", "Input data may contain inappropriate content."),
          }),
        ],
      ),
    }),
    sketchJob({
      number: 17,
      agoMs: 520_000,
      prompt: "A paper boat on a puddle, seen from above",
      change: failed(
        {
          code: "attempts_exhausted",
          message: "All 4 attempts failed; the last: DashScope had an internal error (InternalError)",
          hint: "The trouble was upstream's own and may be over by now: retry the job.",
          upstream: { code: "InternalError", requestId: "0a51b27e-77aa-9b3f-8a9b-2d0f5e3b1122" },
        },
        [1, 2, 3, 4].map((number) =>
          sketchAttempt({
            number,
            outcome: "failed",
            durationMs: 1_900 + number * 130,
            upstream: report(500, "InternalError", "An internal error has occured, please try again later."),
          }),
        ),
      ),
    }),
    sketchJob({
      number: 25,
      agoMs: 560_000,
      prompt: "A glass greenhouse at night, lit from within",
      model: "wan2.6-t2i",
      size: "1280*1280",
      change: failed(
        {
          code: "result_lost",
          message:
            "upstream delivered, but its links died before the images were copied: dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com answered 404 instead of the image",
          hint: "The images were billed. A retry makes, and pays for, new ones.",
          upstream: { code: null, requestId: "5a1b27e0-77aa-9b3f-8a9b-2d0f5e3b2233" },
        },
        [
          sketchAttempt({
            number: 1,
            outcome: "failed",
            durationMs: 2_900,
            startedAt: iso(-558_000),
            mayBeBilled: true,
            upstream: none,
            retryAt: iso(-550_000),
          }),
          sketchAttempt({
            number: 2,
            outcome: "timed_out",
            counted: false,
            durationMs: 45_000,
            startedAt: iso(-549_000),
            upstream: { ...none, taskId: "86ecf553-d340-4e21-af6e-a0c6a421c010" },
          }),
          sketchAttempt({
            number: 3,
            counted: false,
            durationMs: 11_000,
            startedAt: iso(-500_000),
            finishedAt: iso(-489_000),
            mayBeBilled: true,
            upstream: { ...none, httpStatus: 200, taskId: "86ecf553-d340-4e21-af6e-a0c6a421c010" },
          }),
        ],
      ),
    }),
    sketchJob({
      number: 16,
      agoMs: 610_000,
      prompt: "Wood type poster, the letter R only",
      size: "1328*1328",
      change: (job) => ({
        status: "canceled",
        done: true,
        seq: 3,
        finishedAt: iso(-600_000),
        updatedAt: job.createdAt,
      }),
    }),
    ...(
      [
        ["A red bicycle leaning on a limewashed wall in the rain, puddles, late autumn", "1664*928", 1],
        ["Terraced tea fields at sunrise, a single figure with a straw hat", "1472*1104", 1],
        [
          "雨中的红色自行车靠在白色石灰墙上，水坑倒映着深秋的梧桐树叶，电影感光线，三十五毫米胶片颗粒，安静的清晨街道",
          "1328*1328",
          1,
        ],
        ["Four colourways of a running shoe on seamless paper", "1280*1280", 4],
        ["دراجة حمراء تحت المطر أمام جدار أبيض، انعكاس أوراق الخريف في بركة ماء، ضوء الصباح الهادئ", "928*1664", 1],
        ["Night train crossing a viaduct, long exposure", "1664*928", 1],
        ["Still life with pomegranates and a pewter jug, Dutch light", "1104*1472", 1],
        ["Two versions of a summer menu header", "1664*928", 2],
        ["Alpine hut after first snow, smoke from the chimney", "1472*1104", 1],
        ["Ceramic tiles, blue and white, seamless pattern", "1328*1328", 1],
        ["Kite surfers seen from a cliff", "1664*928", 1],
        ["A desk lamp that looks like a heron", "928*1664", 1],
      ] as const
    ).map(([prompt, size, count], index) =>
      sketchJob({
        number: 15 - index,
        agoMs: 800_000 + index * index * 900_000,
        prompt,
        size,
        ...(count === 4 ? { model: "wan2.6-t2i" } : {}),
        change: succeeded(count),
      }),
    ),
  ];
}

/** The log of the job whose images were lost. The other jobs have no log here. */
export function logOfLost(): JobEvent[] {
  const event = (seq: number, at: string, type: JobEvent["type"], data: JobEvent["data"]) => ({ seq, at, type, data });
  return [
    event(1, iso(-560_000), "job.queued", {}),
    event(3, iso(-555_000), "job.retrying", {
      attempt: 1,
      retryAt: iso(-550_000),
      reason: "The connection to DashScope broke before its answer came",
    }),
    event(7, iso(-489_000), "job.storing", { attempt: 3, images: 1 }),
    event(8, iso(-480_000), "job.storing", {
      attempt: 3,
      images: 1,
      retryAt: iso(-470_000),
      reason: "dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com answered 503 instead of the image",
    }),
  ];
}

function report(httpStatus: number, code: string, message: string) {
  return { httpStatus, code, message, requestId: "6f1d3c90-2ad1-9e55-b1d0-5a3f6c7e8d90", taskId: null };
}
