import fc from "fast-check";
import type { RawAttack } from "./attack.ts";
import { brokenHttp, type RawRequest } from "./broken-http.ts";
import { BODY, cuts, good, post } from "./raw-requests.ts";

/** Any bytes, as Latin-1 text. */
const bytes = (maxLength: number) =>
  fc.uint8Array({ minLength: 1, maxLength }).map((array) => Buffer.from(array).toString("latin1"));

const junk = fc
  .oneof({ weight: 3, arbitrary: bytes(300) }, { weight: 1, arbitrary: bytes(9_000) })
  .map((text): RawRequest => ({ name: "junk", text, noHttp: "syntax", answers: null }));

/** A valid request with some bytes changed, removed or inserted. */
const mutated: fc.Arbitrary<RawRequest> = fc
  .tuple(
    good,
    fc.array(fc.tuple(fc.nat(10_000), fc.constantFrom("change", "remove", "insert"), bytes(3)), {
      minLength: 1,
      maxLength: 4,
    }),
  )
  .map(([text, edits]) => {
    const changed = edits.reduce((now, [at, how, by]) => {
      const start = at % now.length;
      return now.slice(0, start) + (how === "remove" ? "" : by) + now.slice(start + (how === "insert" ? 0 : by.length));
    }, text);
    const hasHead = /^(GET|POST) \/\S* HTTP\/1\.1\r\nHost: @host@\r\n/.test(changed);
    return { name: "mutated", text: changed, noHttp: hasHead ? "framing" : "head", answers: null };
  });

/** Pipelined requests; the last may be broken. */
const pipelined: fc.Arbitrary<RawRequest> = fc
  .tuple(fc.array(good, { minLength: 2, maxLength: 20 }), fc.option(junk, { freq: 2 }))
  .map(([requests, end]) =>
    end === null
      ? { name: "pipelined", text: requests.join(""), noHttp: null, answers: requests.length }
      : { name: "pipelined, then junk", text: requests.join("") + end.text, noHttp: "syntax", answers: null },
  );

const alone = good.map((text): RawRequest => ({ name: "good, in pieces", text, noHttp: null, answers: 1 }));
const expecting: fc.Arbitrary<RawRequest> = fc.constantFrom("100-continue", "200-ok", "").map((value) => ({
  name: "expect",
  text: post(`Expect: ${value}\r\nContent-Length: ${BODY.length}\r\n`, BODY),
  noHttp: "framing",
  answers: null,
}));

/** Bytes that are not HTTP, or that are HTTP but arrive in an unusual way. */
export const rawAttacks: fc.Arbitrary<RawAttack> = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: brokenHttp },
      { weight: 1, arbitrary: fc.oneof(junk, expecting) },
      { weight: 4, arbitrary: mutated },
      { weight: 2, arbitrary: fc.oneof(pipelined, alone) },
    ),
    cuts,
    fc.nat(10_000),
  )
  .map(([{ name, text, noHttp, answers }, at, target]) => ({
    kind: "raw bytes",
    name,
    text,
    cuts: at,
    endsAfterMs: 0,
    end: "half-close",
    noHttp,
    answers,
    target,
  }));
