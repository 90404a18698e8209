import { z } from "zod";

const text = (description: string, example: string) =>
  z
    .string()
    .optional()
    .meta({ description, examples: [example] });

/** Every header that an answer may carry and a client may want. */
const HEADERS = {
  "X-Request-Id": z
    .string()
    .meta({ description: "Names this request in logs and problems; the client's own when it sent a sane one." }),
  Location: z.string().meta({ description: "The job's own address." }),
  "Retry-After": text("Seconds after which it is worth asking again, from the job's own estimate.", "3"),
  ETag: z.string().meta({ description: "The version of the job; give it back as `If-None-Match`." }),
  "Preference-Applied": text("The `Prefer` that was followed.", "wait=30"),
  "Idempotency-Replayed": text("`true` when this Idempotency-Key had made the job before.", "true"),
  RateLimit: text("What is left of the limit, and in how many seconds there is more.", '"submit";r=0;t=31'),
  "RateLimit-Policy": text(
    "The limit: a quota of `q` in a window of `w` seconds, or of unfinished jobs.",
    '"submit";q=600;w=60',
  ),
  Link: text("Where it is explained.", '</api/docs#idempotency>; rel="describedby"'),
  "Accept-Post": text("The types of body that are taken.", "application/json, multipart/form-data"),
  "Accept-Encoding": text("The encodings of a body that are taken.", "identity"),
  "Accept-Ranges": text("Parts can be asked for by `Range`.", "bytes"),
  Upgrade: text("The protocol that is spoken here.", "websocket"),
  "Sec-WebSocket-Version": text("The version of it.", "13"),
  "WWW-Authenticate": text("How to authenticate.", 'Bearer realm="darkroom"'),
  "Set-Cookie": z.string().meta({ description: "The session: HttpOnly, SameSite=Strict, Secure off localhost." }),
  "Content-Range": text("Which bytes these are.", "bytes 0-1023/1534201"),
  "Content-Disposition": text("A file name for saving.", 'inline; filename="image-B-myT-1.png"'),
} as const;

export type AnswerHeader = keyof typeof HEADERS;

/** The documented headers of an answer; `X-Request-Id` is on every one. */
export function headers(...names: readonly AnswerHeader[]) {
  return z.object(Object.fromEntries((["X-Request-Id", ...names] as const).map((name) => [name, HEADERS[name]])));
}
