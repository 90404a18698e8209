import { z } from "zod";
import { allowedWords, schemaAt } from "./allowed-words.ts";

/** What is wrong with which entry of a JSON object. Entries are counted: a name of one may itself be what nobody shall read. */
function entryProblem(schema: z.ZodType, value: unknown, issue: z.core.$ZodIssue): string {
  const [name, ...rest] = issue.path.map(String);
  const position = Object.keys(Object(value)).indexOf(name ?? "") + 1;
  const place = name === undefined ? "" : `entry ${[position, ...rest].join(", ")}: `;
  switch (issue.code) {
    case "invalid_key":
      return `${place}${issue.issues[0]?.message ?? issue.message}`;
    case "unrecognized_keys":
      return `${place}has an unknown field`;
    case "custom":
    case "invalid_format":
      return `${place}${issue.message}`;
    default: {
      const wanted = schemaAt(schema, issue.path);
      return `${place}${wanted === null ? issue.message : `must be ${allowedWords(wanted)}`}`;
    }
  }
}

/** A variable whose text is JSON of this shape; an error says what is wrong without the value. */
export function jsonSetting<Schema extends z.ZodType>(schema: Schema, example: string) {
  return z.string().transform((text, context): z.output<Schema> => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      context.addIssue(`must be JSON like ${example}`);
      return z.NEVER;
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      context.addIssue(`must be JSON like ${example}: ${entryProblem(schema, value, issue)}`);
    }
    return z.NEVER;
  });
}
