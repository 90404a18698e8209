import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../test/support/properties.ts";
import { SseParser } from "./sse-parser.ts";

function parse(pieces: readonly string[]) {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

describe("SseParser", () => {
  it("reads messages with and without a name, of several lines, past comments and other fields", () => {
    const text = ':hi\nretry: 5\n\nevent: job\nid: 7\ndata: {"a":\ndata: 1}\n\ndata:x\n\nevent: empty\n\n';
    expect(parse([text])).toEqual([
      { event: "job", data: '{"a":\n1}' },
      { event: "message", data: "x" },
    ]);
  });

  it("keeps an unfinished message back", () => {
    expect(parse(["data: 1\n"])).toEqual([]);
  });

  it("reads the same as a known parser, however the stream is cut and whichever line ends it uses", () => {
    const line = fc.oneof(
      fc.constantFrom("", "data: a", "data:b", "data", "event: job", ":c", "id: 1", "unknown: x"),
      fc.string().filter((text) => !/[\r\n\ufeff]/.test(text)),
    );
    const end = fc.constantFrom("\n", "\r\n", "\r");
    fc.assert(
      fc.property(
        fc.array(fc.tuple(line, end), { maxLength: 100, size: "max" }),
        fc.infiniteStream(fc.integer({ min: 1, max: 7 })),
        (lines, cuts) => {
          const text = `${lines.map(([words, stop]) => words + stop).join("")}\n\n`;
          const pieces: string[] = [];
          for (let at = 0; at < text.length; ) {
            const size = cuts.next().value ?? 1;
            pieces.push(text.slice(at, at + size));
            at += size;
          }
          const expected: { event: string; data: string }[] = [];
          const known = createParser({
            onEvent: ({ event, data }) => expected.push({ event: event ?? "message", data }),
          });
          known.feed(text);
          expect(parse(pieces)).toEqual(expected);
        },
      ),
      cases(),
    );
  });
});
