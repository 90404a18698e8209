interface DocumentedHeader {
  readonly required?: boolean;
}

interface DocumentedAnswer {
  readonly headers?: Readonly<Record<string, DocumentedHeader | { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, object>>;
}

/** The entry of an answer in an operation: the answer itself, or a reference to one of the components. */
export type AnswerEntry = DocumentedAnswer | { readonly $ref: string };

interface Holder {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, AnswerEntry>> }>>>
  >;
  readonly components: {
    readonly responses?: Readonly<Record<string, DocumentedAnswer>>;
    readonly headers?: Readonly<Record<string, DocumentedHeader>>;
  };
}

const step = (text: string) => text.replaceAll("~", "~0").replaceAll("/", "~1");

/** The entry of an OpenAPI document for an operation's answer with a status, and the JSON Pointer to it; null when there is none. */
export function documentedAnswer(document: Holder, path: string, method: string, status: string) {
  const entry = document.paths[path]?.[method]?.responses[status];
  if (entry === undefined) return null;
  if (!("$ref" in entry)) {
    return { answer: entry, pointer: `#/${["paths", path, method, "responses", status].map(step).join("/")}` };
  }
  const answer = document.components.responses?.[entry.$ref.slice("#/components/responses/".length)];
  if (answer === undefined) throw new Error(`${entry.$ref} is not in the document`);
  return { answer, pointer: entry.$ref };
}

/** The headers of an answer with their descriptions; references are resolved. */
export function documentedHeaders(document: Holder, answer: DocumentedAnswer): [string, DocumentedHeader][] {
  return Object.entries(answer.headers ?? {}).map(([name, entry]) => {
    if (!("$ref" in entry)) return [name, entry];
    const header = document.components.headers?.[entry.$ref.slice("#/components/headers/".length)];
    if (header === undefined) throw new Error(`${entry.$ref} is not in the document`);
    return [name, header];
  });
}

/** The pointer to the schema of an answer's content of a media type. */
export const contentSchema = (pointer: string, type: string) => `${pointer}/content/${step(type)}/schema`;
