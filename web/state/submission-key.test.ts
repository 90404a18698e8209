import { describe, expect, it } from "vitest";
import { DarkroomProblem, DarkroomUnreachable } from "../../client/errors.ts";
import { PROBLEMS, type ProblemCode } from "../../schemas/problem.ts";
import {
  asFailed,
  asTaken,
  mayForgetKey,
  parseSent,
  SAME_PRESS_MS,
  type Sent,
  submissionFor,
  UNANSWERED_MS,
  withSent,
} from "./submission-key.ts";

const newKey = () => "new";
const unknown = { key: "old", fingerprint: "boat", sentAtMs: 900, takenAtMs: null };
const taken = { ...unknown, takenAtMs: 1_000 };

describe("submissionFor", () => {
  const keyAt = (earlier: Sent, nowMs: number) => submissionFor([earlier], "boat", nowMs, newKey).key;

  it("makes a key for a first submission", () => {
    expect(submissionFor([], "boat", 5, newKey)).toEqual({
      key: "new",
      fingerprint: "boat",
      sentAtMs: 5,
      takenAtMs: null,
    });
  });
  it("sends the same key again while the server's answer is unknown, for a day after the last try", () => {
    expect(keyAt(unknown, 900 + UNANSWERED_MS - 1)).toBe("old");
    const again = submissionFor([unknown], "boat", 5_000, newKey);
    expect(keyAt(again, 5_000 + UNANSWERED_MS - 1)).toBe("old");
    expect(keyAt(again, 5_000 + UNANSWERED_MS)).toBe("new");
  });
  it("sends an unanswered key of an older page again, and counts its day from then", () => {
    const again = submissionFor([{ key: "old", fingerprint: "boat", takenAtMs: null }], "boat", 5_000, newKey);
    expect(again).toMatchObject({ key: "old", sentAtMs: 5_000 });
  });
  it("treats a second press shortly after as the same", () => {
    expect(keyAt(taken, 1_000 + SAME_PRESS_MS - 1)).toBe("old");
  });
  it("makes another job of the same draft when the press comes later", () => {
    expect(keyAt(taken, 1_000 + SAME_PRESS_MS)).toBe("new");
  });
  it("makes another job of a press after the time of the first press, also when there was a press in between", () => {
    const second = asTaken(submissionFor([taken], "boat", 1_000 + SAME_PRESS_MS - 1, newKey), 1_000 + SAME_PRESS_MS);
    expect(second.key).toBe("old");
    expect(keyAt(second, 1_000 + SAME_PRESS_MS)).toBe("new");
  });
  it("counts the day of an unanswered key from its failure, which may come long after it was sent", () => {
    const failed = asFailed(unknown, 5 * UNANSWERED_MS);
    expect(keyAt(failed, 6 * UNANSWERED_MS - 1)).toBe("old");
    expect(keyAt(failed, 6 * UNANSWERED_MS)).toBe("new");
  });
  it("sends the key again after a second press that got no answer, although the first did", () => {
    expect(keyAt(asFailed(taken, 1_500), 1_000 + SAME_PRESS_MS)).toBe("old");
  });
  it("never sends an old key with another draft", () => {
    expect(submissionFor([unknown], "ship", 1_000, newKey).key).toBe("new");
    expect(submissionFor([taken], "ship", 1_000, newKey).key).toBe("new");
  });
  it("finds the key of a draft again after another was sent in between", () => {
    const ship: Sent = { key: "ship's", fingerprint: "ship", takenAtMs: null };
    expect(submissionFor(withSent([unknown], ship), "boat", 1_000, newKey).key).toBe("old");
  });
});

describe("mayForgetKey", () => {
  const call = { method: "POST", url: "/", jobId: null, idempotencyKey: "old" };
  const refusal = (code: ProblemCode) => {
    const [status, title] = PROBLEMS[code];
    return new DarkroomProblem({ type: "about:blank", title, status, detail: "", code, requestId: "r" }, null, call);
  };

  it("forgets a key whose only request was refused for what it said", () => {
    expect(mayForgetKey(refusal("invalid_request"), false)).toBe(true);
  });
  it("keeps a key under which a request was sent before, whatever the server answers now", () => {
    for (const code of ["invalid_request", "rate_limited", "unauthorized", "body_too_large"] as const) {
      expect(mayForgetKey(refusal(code), true)).toBe(false);
    }
  });
  it("keeps a key after a refusal that is not about the request", () => {
    for (const code of ["unauthorized", "forbidden_origin", "rate_limited", "too_many_pending_jobs"] as const) {
      expect(mayForgetKey(refusal(code), false)).toBe(false);
    }
  });
  it("keeps a key when it is unknown whether the request was carried out", () => {
    expect(mayForgetKey(new DarkroomUnreachable("no answer", call, null), false)).toBe(false);
    expect(mayForgetKey(refusal("internal"), false)).toBe(false);
  });
  it("forgets a key that the server holds for another request: it would be refused for ever", () => {
    expect(mayForgetKey(refusal("idempotency_key_reused"), true)).toBe(true);
  });
});

describe("withSent", () => {
  it("holds the newest submission of each draft", () => {
    expect(withSent([unknown], taken)).toEqual([taken]);
    expect(withSent([taken], { ...unknown, key: "new" })).toEqual([{ ...unknown, key: "new" }]);
  });
  it("drops the oldest beyond a bound", () => {
    let sent: Sent[] = [];
    for (let number = 0; number < 100; number++) sent = withSent(sent, { ...unknown, fingerprint: `draft ${number}` });
    expect(sent.length).toBeLessThan(20);
    expect(sent[0]?.fingerprint).toBe("draft 99");
  });
});

describe("parseSent", () => {
  it("reads stored submissions, and returns none when they cannot be read", () => {
    expect(parseSent(JSON.stringify([taken, unknown]))).toEqual([taken, unknown]);
    expect(parseSent(JSON.stringify(taken))).toEqual([]);
    expect(parseSent("{")).toEqual([]);
    expect(parseSent(null)).toEqual([]);
  });
});
