import { z } from "zod";
import { type CallFacts, DarkroomUnexpectedAnswer } from "./errors.ts";

/** Every frame says what it is. */
const Frame = z.object({ type: z.string() });

/**
 * A frame by its schema; `null` for one of a kind that is newer than the client, to be passed over. Throws
 * `DarkroomUnexpectedAnswer` for anything else that does not fit.
 */
export function parseFrame<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
  knownTypes: readonly string[],
  facts: CallFacts,
): z.output<Schema> | null {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Falls through to the schema, which says what is wrong.
  }
  const frame = Frame.safeParse(value);
  if (frame.success && !knownTypes.includes(frame.data.type)) return null;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const reason = `a frame that cannot be read: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`;
  throw new DarkroomUnexpectedAnswer(101, reason.trim(), facts);
}
