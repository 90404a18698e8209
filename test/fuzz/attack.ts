/** The credential of a request. `owner`: the client whose job it is about. */
export type Credential =
  | { readonly as: "owner" | "other" | "operator" | "session" | "nobody" }
  | { readonly as: "header"; readonly name: "authorization" | "cookie"; readonly value: string };

export type HttpKind = "operation" | "form" | "headers";
export type RawKind = "raw bytes" | "hang-up";

/**
 * A hostile request that is valid HTTP. Its path and headers may contain `@id@`, `@events@`, `@image@` and `@etag@`: they stand for
 * those of the target, a job of the run, which is known only when the request is sent.
 */
export interface HttpAttack {
  readonly kind: HttpKind;
  /** The operation's id, when only its own inputs are hostile: then the answer must be a documented one. */
  readonly operation: string | null;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly credential: Credential;
  readonly body: Uint8Array | null;
  /** The number of the run's job that it is about, or of the client that sends it. */
  readonly target: number;
}

/**
 * The part of the bytes that is not HTTP, so that the runtime, and not our code, may have to answer. `head`: method, address or
 * host. Null: they are HTTP.
 */
export type NoHttp = "syntax" | "method" | "host" | "head" | "framing" | "handshake" | null;

/** Bytes for a connection of their own, as Latin-1 text. Heads may contain `@host@`, `@token@` and `@id@`. */
export interface RawAttack {
  readonly kind: RawKind;
  /** What is wrong, in words. */
  readonly name: string;
  readonly text: string;
  /** The offsets where it is cut into pieces (modulo its length), and how many ms nothing is sent there. */
  readonly cuts: readonly (readonly [at: number, pauseMs: number])[];
  /** The time between the last piece and the end, in ms. */
  readonly endsAfterMs: number;
  /** `half-close`: nothing more is sent, and answers are read to the end. `reset`: the client closes the connection at once. */
  readonly end: "half-close" | "reset";
  readonly noHttp: NoHttp;
  /** How many answers there must be; null when the runtime decides that. */
  readonly answers: number | null;
  readonly target: number;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A fault that was found. `attack` shows what was sent. */
export interface Finding {
  readonly what: string;
  readonly attack: string;
}

/** The first characters of a text, on one line. */
export function shown(text: string, characters = 400): string {
  const line = JSON.stringify(text);
  return line.length <= characters ? line : `${line.slice(0, characters)}… (${text.length} characters)`;
}

/** An attack in words. */
export function textOf(attack: HttpAttack | RawAttack): string {
  if ("text" in attack) return `${attack.kind}, ${attack.name}, ends by ${attack.end}: ${shown(attack.text)}`;
  const { kind, method, path, headers, credential, body } = attack;
  const sent = body === null ? "no body" : shown(Buffer.from(body).toString("latin1"));
  return `${kind}: ${method} ${shown(path)} as ${JSON.stringify(credential)} ${shown(JSON.stringify(headers))} ${sent}`;
}
