/** One dispatched message of an event stream. */
export interface StreamMessage {
  readonly event: string;
  readonly data: string;
}

/**
 * Cuts an event stream (WHATWG HTML, 9.2.6) into messages, from pieces of any size. Comments and fields that the client
 * has no use for (`id`, `retry`: frames carry their own cursor) are passed over.
 */
export class SseParser {
  #rest = "";
  #event = "";
  #data: string[] = [];

  /** The messages that this piece completes. */
  push(piece: string): StreamMessage[] {
    const messages: StreamMessage[] = [];
    // A lone CR at the end may be the first half of CRLF: it stays until the next piece.
    const text = this.#rest + piece;
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = this.#line(line);
      if (message !== null) messages.push(message);
    }
    return messages;
  }

  #line(line: string): StreamMessage | null {
    if (line === "") {
      const message = this.#data.length === 0 ? null : { event: this.#event || "message", data: this.#data.join("\n") };
      this.#event = "";
      this.#data = [];
      return message;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    if (field === "data") this.#data.push(value);
    return null;
  }
}
