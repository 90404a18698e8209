/** Who a request says it is from. `owner`: the client whose job it is about. */
export type Credential =
  | { readonly as: "owner" | "other" | "operator" | "session" | "nobody" }
  | { readonly as: "header"; readonly name: "authorization" | "cookie"; readonly value: string };

export type HttpKind = "operation" | "form" | "headers";
export type RawKind = "raw bytes" | "hang-up";

/**
 * A request that is HTTP, however hostile. Its path and headers may hold `@id@`, `@events@`, `@image@` and `@etag@`: those of
 * the target, a job of the run, which is only known when it is sent.
 */
export interface HttpAttack {
  readonly kind: HttpKind;
  /** Of the document, when nothing but this operation's own inputs is hostile: then the answer must be one it documents. */
  readonly operation: string | null;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly credential: Credential;
  readonly body: Uint8Array | null;
  /** Which of the run's jobs it is about, or in whose client's name it is sent. */
  readonly target: number;
}

/**
 * Why the runtime, and not our code, may have to answer: what of the bytes is no HTTP. `head`: method, address and host, any
 * of them. Null: they are HTTP.
 */
export type NoHttp = "syntax" | "method" | "host" | "head" | "framing" | "handshake" | null;

/** Bytes for a connection of their own, as the letters of Latin-1. In heads stand `@host@`, `@token@` and `@id@`. */
export interface RawAttack {
  readonly kind: RawKind;
  /** What is wrong, for people. */
  readonly name: string;
  readonly text: string;
  /** Where it is cut into pieces (counted anew at its end), and for how many ms nothing is sent there. */
  readonly cuts: readonly (readonly [at: number, pauseMs: number])[];
  /** In ms, between the last piece and the end. */
  readonly endsAfterMs: number;
  /** `half-close`: nothing more is sent, and answers are read to the end. `reset`: the client is gone at once. */
  readonly end: "half-close" | "reset";
  readonly noHttp: NoHttp;
  /** How many answers there must be; null when that is the runtime's affair. */
  readonly answers: number | null;
  readonly target: number;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Something that must not be. `attack` is enough to see what was sent. */
export interface Finding {
  readonly what: string;
  readonly attack: string;
}

/** The first characters of what was sent, on one line. */
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
