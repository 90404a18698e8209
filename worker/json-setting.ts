import { z } from "zod";
import { allowedWords, schemaAt } from "./allowed-words.ts";

/** Whether the name of an entry may be shown. Any other name may itself be a secret. */
export type IsShown = (name: string) => boolean;

/** Which entry of a JSON object, counted from 1, with its name where it may be shown. */
export function entryPlace(value: object, name: string, isShown: IsShown): string {
  const position = Object.keys(value).indexOf(name) + 1;
  return `entry ${position}${isShown(name) ? ` (${name})` : ""}`;
}

/** What is wrong with which entry of a JSON object. */
function entryProblem(schema: z.ZodType, value: unknown, issue: z.core.$ZodIssue, isShown: IsShown): string {
  const [name, ...rest] = issue.path.map(String);
  const place = name === undefined ? "" : `${[entryPlace(Object(value), name, isShown), ...rest].join(", ")}: `;
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
export function jsonSetting<Schema extends z.ZodType>(schema: Schema, example: string, isShown: IsShown = () => false) {
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
      context.addIssue(`must be JSON like ${example}: ${entryProblem(schema, value, issue, isShown)}`);
    }
    return z.NEVER;
  });
}
