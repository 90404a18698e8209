import { z } from "zod";
import type { Random } from "./random.ts";

/** The longest wait of a fault. Upstream's gateway gives up before that. */
const Ms = z.number().min(0).max(600_000);
const repeat = z.int().min(1).nullable().default(null);

/** What is wrong with the link of an image that was made and billed. `inline`: it is a data URL of the image itself. */
export const RESULT_FAULTS = [
  "inline",
  "truncated",
  "damaged",
  "html",
  "wrong-type",
  "empty",
  "cut",
  "forbidden",
  "not-found",
  "server-error",
  "slow",
  "hang",
] as const;
export const ResultFault = z.enum(RESULT_FAULTS);
export type ResultFault = z.infer<typeof ResultFault>;

/**
 * One fault. `billed: true` on an unreadable answer means that the image was made and billed before the answer was spoilt.
 * Times in ms.
 */
export const Fault = z.discriminatedUnion("type", [
  /** Works, but takes `extraMs` longer. */
  z.strictObject({ type: z.literal("slow"), extraMs: Ms }),
  /** No answer until the gateway's own limit, then 500 `RequestTimeOut`; nothing is billed. */
  z.strictObject({ type: z.literal("hang") }),
  /** Waits for `POST /__emulator/release`: before any work, or after the image was billed and the answer is ready. */
  z.strictObject({ type: z.literal("hold"), at: z.enum(["arrival", "answer"]) }),
  /** The connection is cut and nothing was made. */
  z.strictObject({ type: z.literal("cut-before-billing"), afterMs: Ms.default(0) }),
  /** The image was made and billed, then the connection is cut; with `partial` in the middle of the body. */
  z.strictObject({ type: z.literal("cut-after-billing"), partial: z.boolean().default(false) }),
  /** Any code of the error table; `status` and `message` override it. `afterWork` lets the generation time pass first. */
  z.strictObject({
    type: z.literal("error"),
    code: z.string().min(1),
    status: z.int().min(200).max(599).optional(),
    message: z.string().optional(),
    retryAfter: z.string().optional(),
    afterWork: z.boolean().default(false),
  }),
  /** A gateway's HTML page. */
  z.strictObject({ type: z.literal("html"), status: z.int().min(200).max(599), retryAfter: z.string().optional() }),
  z.strictObject({
    type: z.literal("empty-body"),
    status: z.int().min(200).max(599).default(200),
    billed: z.boolean().default(false),
  }),
  /** 200 with JSON that ends too early. */
  z.strictObject({ type: z.literal("bad-json"), billed: z.boolean().default(false) }),
  /** 200 whose body has a top-level error code. */
  z.strictObject({ type: z.literal("code-in-200"), code: z.string().min(1).default("InternalError.Algo") }),
  /** 200 with no image in it. */
  z.strictObject({ type: z.literal("empty-content"), billed: z.boolean().default(false) }),
  z.strictObject({
    type: z.literal("redirect"),
    status: z.int().min(300).max(399).default(302),
    location: z.string().default("https://example.com/elsewhere"),
  }),
  /** A 200 with a body that is far too long. */
  z.strictObject({
    type: z.literal("huge"),
    bytes: z.int().min(1).max(1e9).default(60_000_000),
    billed: z.boolean().default(false),
  }),
  /** The image's link: `times` downloads fail (null: all), then it works. `delayMs` is for `slow`. */
  z.strictObject({ type: z.literal("result"), how: ResultFault, times: repeat, delayMs: Ms.default(10_000) }),
  /** The image's link ends early. */
  z.strictObject({ type: z.literal("link-expires"), inMs: z.number().min(0) }),
  /** The task is accepted, and always `UNKNOWN` afterwards. */
  z.strictObject({ type: z.literal("task-unknown") }),
  /** The task is accepted, and `UNKNOWN` to its first reads. Later reads get its real state. */
  z.strictObject({ type: z.literal("task-unseen"), reads: z.int().min(1).default(2) }),
  z.strictObject({ type: z.literal("task-failed"), code: z.string().min(1).default("InternalError.Algo") }),
  /** The task never leaves this status. */
  z.strictObject({ type: z.literal("task-stuck"), status: z.enum(["PENDING", "RUNNING"]) }),
  /** That many of the task's images fail moderation; the task itself succeeds. */
  z.strictObject({ type: z.literal("task-partial"), failed: z.int().min(1).max(6) }),
]);
export type Fault = z.infer<typeof Fault>;
export type FaultInput = z.input<typeof Fault>;

/** Which calls a rule applies to: every given part must match. `path` and `prompt` match anywhere in the text. */
export const FaultMatch = z.strictObject({
  model: z.string().optional(),
  prompt: z.string().optional(),
  path: z.string().optional(),
  method: z.enum(["GET", "POST"]).optional(),
});
export type FaultMatch = z.infer<typeof FaultMatch>;

/** A rule in the queue: the first that matches is used. `skip` lets that many matching calls pass; `times: null` means always. */
export const FaultRule = z.strictObject({
  match: FaultMatch.default({}),
  skip: z.int().min(0).default(0),
  times: repeat,
  probability: z.number().min(0).max(1).default(1),
  fault: Fault,
});
export type FaultRule = z.infer<typeof FaultRule>;
export type FaultRuleInput = z.input<typeof FaultRule>;

/** A rule with its counts: `seen` matching calls so far, `used` of them got the fault. */
export const LiveRule = FaultRule.extend({ id: z.string(), seen: z.int(), used: z.int() });
export type LiveRule = z.infer<typeof LiveRule>;

/** The call that rules are matched against. */
export interface Subject {
  readonly method: string;
  readonly path: string;
  readonly model: string | null;
  readonly prompt: string | null;
}

function fits(match: FaultMatch, subject: Subject): boolean {
  return (
    (match.model === undefined || match.model === subject.model) &&
    (match.method === undefined || match.method === subject.method) &&
    (match.path === undefined || subject.path.includes(match.path)) &&
    (match.prompt === undefined || (subject.prompt ?? "").includes(match.prompt))
  );
}

/** Whether a fault can happen in this kind of call. Other calls are unaffected and not counted. */
function suits(fault: Fault, path: string): boolean {
  const submits = path.includes("/services/");
  switch (fault.type) {
    case "task-unknown":
    case "task-unseen":
    case "task-failed":
    case "task-stuck":
    case "task-partial":
      return submits && !path.includes("/multimodal-generation/");
    case "result":
    case "link-expires":
      return submits;
    default:
      return true;
  }
}

/**
 * The fault for one call, and the queue after it. The first rule that matches, is not used up and wins its draw is used; each
 * matching rule before it counts the call as seen. Rules without `path` apply to submissions, not to reads of tasks.
 */
export function drawFault(
  rules: readonly LiveRule[],
  subject: Subject,
  random: Random,
): { readonly fault: Fault | null; readonly rules: readonly LiveRule[] } {
  let drawn: Fault | null = null;
  const after = rules.map((rule) => {
    const aboutThis = rule.match.path !== undefined || subject.path.includes("/services/");
    if (drawn !== null || !aboutThis || !fits(rule.match, subject) || !suits(rule.fault, subject.path)) return rule;
    if (rule.times !== null && rule.used >= rule.times) return rule;
    const seen = rule.seen + 1;
    if (seen <= rule.skip || random() >= rule.probability) return { ...rule, seen };
    drawn = rule.fault;
    return { ...rule, seen, used: rule.used + 1 };
  });
  return { fault: drawn, rules: after };
}
