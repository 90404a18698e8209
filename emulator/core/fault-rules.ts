import type { Fault, FaultMatch, LiveRule } from "./fault.ts";
import type { Random } from "./random.ts";

/** What a rule can look at. */
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

/** A fault that can befall this kind of call; others let it pass untouched, and uncounted. */
function suits(fault: Fault, path: string): boolean {
  const submits = path.includes("/services/");
  switch (fault.type) {
    case "task-unknown":
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
 * The fault for one call, and the queue after it. The first rule that fits, is not spent and wins its throw is used; each
 * fitting rule before it has seen the call. Rules without `path` are about submissions, not about looks at tasks.
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
