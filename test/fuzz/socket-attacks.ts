import fc from "fast-check";
import { hostileText } from "./hostile-values.ts";
import { closeFrame, frame, OPCODE } from "./socket-frames.ts";

/** The frames that are sent over one socket after its handshake. */
export interface SocketAttack {
  readonly name: string;
  readonly where: "feed" | "job";
  readonly frames: readonly Buffer[];
  /** Whether the server must close it; else it must answer each `ping`, and close it after a close frame. */
  readonly mustEnd: boolean;
  readonly pings: number;
  /** Whether the client half-closes after the frames, so that an unfinished message stays unfinished. */
  readonly halfClose: boolean;
  readonly target: number;
}

type Script = Pick<SocketAttack, "name" | "frames" | "mustEnd" | "pings"> & { readonly halfClose?: boolean };

const text = (payload: string | Uint8Array, options = {}) => frame(OPCODE.text, payload, options);
const PING = text("ping");

function ending(name: string, ...alternatives: readonly (readonly Buffer[])[]): fc.Arbitrary<Script> {
  return fc.constantFrom(...alternatives).map((frames) => ({ name, frames, mustEnd: true, pings: 0 }));
}

const patient: fc.Arbitrary<Script> = fc.oneof(
  fc
    .constantFrom(1, 20, 500)
    .map(
      (pings): Script => ({ name: "pings", frames: Array.from({ length: pings }, () => PING), mustEnd: false, pings }),
    ),
  fc.uint8Array({ maxLength: 125 }).map(
    (bytes): Script => ({
      name: "control pings",
      frames: [frame(OPCODE.ping, bytes), frame(OPCODE.pong, bytes), PING],
      mustEnd: false,
      pings: 1,
    }),
  ),
  fc.constant<Script>({
    name: "a ping in fragments",
    frames: [text("pi", { fin: false }), frame(OPCODE.ping, "amid"), frame(OPCODE.more, "ng")],
    mustEnd: false,
    pings: 1,
  }),
  // The runtime accepts it.
  fc.constant<Script>({
    name: "a control ping too long",
    frames: [frame(OPCODE.ping, "p".repeat(126)), PING],
    mustEnd: false,
    pings: 1,
  }),
  fc.constant<Script>({ name: "silence", frames: [], mustEnd: false, pings: 0 }),
);

const junk = hostileText.filter((words) => words !== "ping");

const wrong: fc.Arbitrary<Script> = fc.oneof(
  junk.map((words): Script => ({ name: "words", frames: [PING, text(words)], mustEnd: true, pings: 0 })),
  fc
    .uint8Array({ maxLength: 300 })
    .map((bytes): Script => ({ name: "binary", frames: [frame(OPCODE.binary, bytes)], mustEnd: true, pings: 0 })),
  fc.tuple(fc.constantFrom(50, 2_000), junk).map(
    ([count, words]): Script => ({
      name: "a flood",
      frames: Array.from({ length: count }, () => text(words.slice(0, 200))),
      mustEnd: true,
      pings: 0,
    }),
  ),
  fc
    .constantFrom(1_025, 70_000, 1_100_000)
    .map((length): Script => ({ name: "a huge message", frames: [text("h".repeat(length))], mustEnd: true, pings: 0 })),
  fc.constantFrom(30, 3_000).map(
    (count): Script => ({
      name: "fragments",
      frames: [
        text("f", { fin: false }),
        ...Array.from({ length: count }, () => frame(OPCODE.more, "f", { fin: false })),
        frame(OPCODE.more, "f"),
      ],
      mustEnd: true,
      pings: 0,
    }),
  ),
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map(
    (bytes): Script => ({
      name: "text that is no UTF-8",
      frames: [text(Buffer.concat([Buffer.from([0xff, 0xc0]), bytes]))],
      mustEnd: true,
      pings: 0,
    }),
  ),
);

const CLOSE_CODES = [
  0, 1, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1015, 1016, 2999, 3000, 4000, 4410, 4999, 5000,
  65_535,
];

const broken: fc.Arbitrary<Script> = fc.oneof(
  ending("no mask", [text("ping", { masked: false }), text("x")]),
  ending("reserved bits", ...[1, 2, 4, 7].map((reserved) => [text("ping", { reserved })])),
  ending("reserved opcode", ...[3, 5, 7, 11, 15].map((opcode) => [frame(opcode, "x")])),
  ending("a close too long", [frame(OPCODE.close, "p".repeat(200))]),
  ending("a control frame in fragments", [frame(OPCODE.ping, "p", { fin: false })]),
  ending("a continuation of nothing", [frame(OPCODE.more, "x")]),
  ending("a message amid a message", [text("a", { fin: false }), text("b")]),
  ending(
    "a length beyond all",
    [text("", { declaredLength: 2n ** 63n })],
    [text("", { declaredLength: 2n ** 64n - 1n })],
    [text("", { declaredLength: 2n ** 40n })],
  ).map((script) => ({ ...script, halfClose: true })),
  ending("half a frame", [PING.subarray(0, 3)], [text("x", { declaredLength: 500n })], [text("x", { fin: false })]).map(
    (script) => ({ ...script, halfClose: true }),
  ),
  fc
    .constantFrom(...CLOSE_CODES)
    .map((code): Script => ({ name: "a close code", frames: [closeFrame(code, "bye")], mustEnd: true, pings: 0 })),
  ending(
    "a broken close",
    [frame(OPCODE.close, "x")],
    [frame(OPCODE.close, "")],
    [closeFrame(1000, Buffer.from([0xff, 0xfe]))],
    [closeFrame(1000), text("after"), closeFrame(1001)],
  ),
  fc
    .uint8Array({ minLength: 1, maxLength: 400 })
    .map((bytes): Script => ({ name: "junk", frames: [Buffer.from(bytes)], mustEnd: true, pings: 0, halfClose: true })),
);

/** Sockets whose clients send hostile messages, in valid and in invalid frames. */
export const socketAttacks: fc.Arbitrary<SocketAttack> = fc
  .tuple(
    fc.oneof({ weight: 2, arbitrary: patient }, { weight: 3, arbitrary: wrong }, { weight: 3, arbitrary: broken }),
    fc.constantFrom<SocketAttack["where"]>("feed", "job"),
    fc.nat(10_000),
  )
  .map(([script, where, target]) => ({ halfClose: false, ...script, where, target }));
