import fc from "fast-check";
import type { RawAttack } from "./attack.ts";
import { BODY, chunk, chunked, cuts, get, HEAD, sized } from "./raw-requests.ts";

const PICTURE_URL = `data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==`;
const withPicture = (prompt: string) =>
  sized(JSON.stringify({ prompt, images: [PICTURE_URL, PICTURE_URL] })).replace(
    "image-from-text",
    "image-from-reference",
  );

/** Whole requests, or most of one, from a client that hangs up before the answer. */
export const hangUps: fc.Arbitrary<RawAttack> = fc
  .record({
    text: fc.constantFrom(
      withPicture("left at once"),
      withPicture("left at once"),
      withPicture("left again"),
      sized(BODY),
      chunked(`${chunk(BODY)}0\r\n\r\n`),
      sized(BODY).replace("Content-Type", "Prefer: wait=5\r\nContent-Type"),
      get("/api/events", "Accept: text/event-stream\r\n"),
      get("/api/jobs/@id@", "Prefer: wait=5\r\n"),
      get("/api/jobs/@id@/events", "Accept: text/event-stream\r\n"),
      "DELETE /api/jobs/@id@ HTTP/1.1\r\n".concat(HEAD, "\r\n"),
    ),
    isWhole: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    afterMs: fc.nat(40),
    at: cuts,
    target: fc.nat(10_000),
  })
  .map(({ text, isWhole, afterMs, at, target }) => {
    return {
      kind: "hang-up",
      name: isWhole ? "whole" : "cut",
      text: isWhole ? text : text.slice(0, -7),
      cuts: at,
      endsAfterMs: afterMs,
      end: "reset",
      noHttp: null,
      answers: null,
      target,
    };
  });
