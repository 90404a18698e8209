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
