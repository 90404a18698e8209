import { connect, type Socket } from "node:net";
import type { SocketAttack } from "./socket-attacks.ts";
import { closeFrame, OPCODE, readFrames, type ServerFrame } from "./socket-frames.ts";

/** Far more than any answer of a socket takes, behind thousands of other messages on a busy machine. */
const SOCKET_BOUND_MS = 120_000;

const HANDSHAKE =
  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

export interface SocketOutcome {
  /** The status of the handshake; 101 is right. */
  readonly status: number;
  readonly frames: readonly ServerFrame[];
  readonly pongs: number;
  /** `hung`: neither ended nor answered in time. */
  readonly ended: "closed" | "hung";
  /** Bytes of the server that are no frame, in words; null when there are none. */
  readonly broken: string | null;
}

/** The state of one connection: it reads the server's frames and reacts to them. */
class Conversation {
  readonly #socket: Socket;
  readonly #attack: SocketAttack;
  readonly frames: ServerFrame[] = [];
  status = 0;
  pongs = 0;
  broken: string | null = null;
  /** Whether the server has sent its last frame. After a broken frame the runtime then waits until its client hangs up. */
  isOver = false;
  #unread: Buffer = Buffer.alloc(0);
  #leaving = false;

  constructor(socket: Socket, attack: SocketAttack) {
    this.#socket = socket;
    this.#attack = attack;
  }

  hear(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    if (this.status === 0) {
      const end = this.#unread.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.status = Number(this.#unread.toString("latin1", 9, 12));
      this.#unread = this.#unread.subarray(end + 4);
      if (this.status === 101) this.#begin();
      else this.#socket.end();
    }
    if (this.status === 101) this.#readFrames();
  }

  #begin(): void {
    for (const frame of this.#attack.frames) this.#socket.write(frame);
    if (this.#attack.halfClose) this.#socket.end();
    else this.#leaveWhenAnswered();
  }

  #readFrames(): void {
    try {
      const { frames, rest } = readFrames(this.#unread);
      this.#unread = rest;
      for (const frame of frames) this.#take(frame);
    } catch (error) {
      this.broken = String(error);
      this.#socket.destroy();
    }
  }

  #take(frame: ServerFrame): void {
    this.frames.push(frame);
    if (frame.opcode === OPCODE.text && frame.payload.equals(Buffer.from("pong"))) this.pongs += 1;
    if (frame.opcode === OPCODE.close) {
      this.isOver = true;
      this.#socket.write(closeFrame(1000));
    } else this.#leaveWhenAnswered();
  }

  #leaveWhenAnswered(): void {
    const { mustEnd, pings } = this.#attack;
    if (mustEnd || this.#leaving || this.pongs < pings) return;
    this.#leaving = true;
    this.#socket.write(closeFrame(1000, "bye"));
  }
}

/** Opens a socket at an address (path and query), sends the attack's frames, and waits for the end. */
export function talk(port: number, path: string, headers: string, attack: SocketAttack): Promise<SocketOutcome> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const conversation = new Conversation(socket, attack);
    const finish = (ended: SocketOutcome["ended"]) => {
      clearTimeout(timer);
      socket.destroy();
      const { status, frames, pongs, broken } = conversation;
      resolve({ status, frames, pongs, ended, broken });
    };
    const timer = setTimeout(() => finish("hung"), SOCKET_BOUND_MS);
    socket.on("error", () => undefined);
    socket.on("close", () => finish("closed"));
    socket.on("data", (bytes) => {
      conversation.hear(bytes);
      if (conversation.isOver) finish("closed");
    });
    socket.on("connect", () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\n${headers}${HANDSHAKE}\r\n`),
    );
  });
}

const FRAME_TYPES: readonly unknown[] = ["job", "ready", "deleted"];

/** What is wrong with the outcome of a socket; null when nothing is. */
export function socketFinding(attack: SocketAttack, outcome: SocketOutcome): string | null {
  if (outcome.ended === "hung")
    return `hung: status ${outcome.status}, ${outcome.pongs} of ${attack.pings} pings answered`;
  if (outcome.status !== 101) return `the handshake was answered ${outcome.status}`;
  if (outcome.broken !== null) return `the server sent ${outcome.broken}`;
  if (!attack.mustEnd && outcome.pongs !== attack.pings)
    return `${outcome.pongs} of ${attack.pings} pings were answered`;
  for (const { opcode, payload } of outcome.frames) {
    if (opcode !== OPCODE.text || payload.equals(Buffer.from("pong"))) continue;
    const frame: unknown = JSON.parse(payload.toString());
    const type = typeof frame === "object" && frame !== null && "type" in frame ? frame.type : null;
    if (!FRAME_TYPES.includes(type)) return `a frame of the type ${String(type)}`;
  }
  return null;
}
