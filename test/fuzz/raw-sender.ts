import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { RawAttack } from "./attack.ts";

/** Far more than twenty answers, or a body of a thousand pieces, take on a busy machine: a connection open for longer hangs. */
const RAW_BOUND_MS = 120_000;

export interface RawOutcome {
  readonly received: Buffer;
  /** `hung`: neither answered to the end nor closed in time. */
  readonly ended: "closed" | "hung" | "left";
}

type Sent = Pick<RawAttack, "text" | "cuts" | "endsAfterMs" | "end">;

interface Piece {
  readonly text: string;
  readonly pauseMs: number;
}

/** The text in pieces, with a pause after each. */
function inPieces({ text, cuts, endsAfterMs }: Sent): readonly Piece[] {
  const sorted = cuts.map(([at, pauseMs]) => [at % text.length, pauseMs] as const).toSorted(([a], [b]) => a - b);
  const pieces: Piece[] = [];
  let from = 0;
  for (const [at, pauseMs] of sorted) {
    pieces.push({ text: text.slice(from, at), pauseMs });
    from = at;
  }
  return [...pieces, { text: text.slice(from), pauseMs: endsAfterMs }];
}

/** Sends the pieces over a connection of its own, and resolves with all received bytes. */
export function sendRaw(port: number, attack: Sent): Promise<RawOutcome> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect(port, "127.0.0.1");
    const finish = (ended: RawOutcome["ended"]) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ received: Buffer.concat(received), ended });
    };
    const timer = setTimeout(() => finish("hung"), RAW_BOUND_MS);
    socket.setNoDelay(true);
    socket.on("data", (bytes) => received.push(bytes));
    // A server that closes while we still send resets the connection; the bytes received before that count.
    socket.on("error", () => undefined);
    socket.on("close", () => finish("closed"));
    const send = async () => {
      for (const { text, pauseMs } of inPieces(attack)) {
        if (socket.destroyed) return;
        if (text !== "") socket.write(text, "latin1");
        if (pauseMs > 0) await pause(pauseMs);
      }
      if (attack.end === "half-close") socket.end();
      else {
        socket.resetAndDestroy();
        finish("left");
      }
    };
    socket.on("connect", () => void send());
  });
}
