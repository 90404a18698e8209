import { paths } from "../../schemas/paths.ts";
import type { Draft, DraftImage } from "./draft.ts";
import type { RequestFields } from "./draft-request.ts";

/** The APIs that take the same request, each with its own shape of body and answer. */
export const CURL_FORMS = ["darkroom", "openai", "dashscope"] as const;
export type CurlForm = (typeof CURL_FORMS)[number];

interface CurlOptions {
  readonly form: CurlForm;
  readonly origin: string;
  readonly draft: Draft;
  /** What `requestFields` makes of the draft. */
  readonly fields: RequestFields;
  /** Whether the server requires a token; the command takes it from `$DARKROOM_TOKEN`. */
  readonly withToken: boolean;
  /** For whom the operator submits; null for a client. */
  readonly client: string | null;
}

/** The draft as a command to paste into a shell. The native form answers with a job, the other two wait for the image. */
export function curlLine(options: CurlOptions): string {
  const { form, origin, draft, fields, withToken, client } = options;
  const { path, ...body } = FORMS[form](draft, fields);
  const query = client === null ? "" : `?${new URLSearchParams({ client })}`;
  const token = withToken ? ['-H "Authorization: Bearer $DARKROOM_TOKEN"'] : [];
  const curl = ["curl -sS", shellQuote(`${origin}${path}${query}`), ...token, ...body.flags].join(NEXT_LINE);
  return body.stdin === undefined ? curl : `${body.stdin} |${NEXT_LINE}${curl}`;
}

const NEXT_LINE = " \\\n  ";

interface Request {
  readonly path: string;
  readonly flags: readonly string[];
  /** A command that prints the body. */
  readonly stdin?: string;
}

const FORMS: Readonly<Record<CurlForm, (draft: Draft, fields: RequestFields) => Request>> = {
  darkroom: (draft, fields) => ({ path: paths.workflow(draft.workflow), flags: jsonOrForm(draft, fields, "images") }),
  openai: (draft, fields) => {
    const path = draft.workflow === "image-from-text" ? "/v1/images/generations" : "/v1/images/edits";
    const size = fields.size === undefined ? {} : { size: fields.size.replace("*", "x") };
    // Without `response_format` the answer has the image in base64 too.
    return { path, flags: jsonOrForm(draft, { ...fields, ...size, response_format: "url" }, "image[]") };
  },
  dashscope: (draft, fields) => {
    const path = "/api/v1/services/aigc/multimodal-generation/generation";
    const images = draft.workflow === "image-from-text" ? [] : draft.images;
    const body = JSON.stringify(dashscopeBody(fields, images));
    if (images.every(({ kind }) => kind === "url")) return { path, flags: json(body) };
    return { path, flags: [JSON_TYPE, "--data-binary @-"], stdin: printed(body, images) };
  },
};

const JSON_TYPE = "-H 'Content-Type: application/json'";

function json(body: string): string[] {
  return [JSON_TYPE, `-d ${shellQuote(body)}`];
}

/** JSON where all images are addresses, else a form that names the files. */
function jsonOrForm(draft: Draft, fields: object, imageName: string): string[] {
  const images = draft.workflow === "image-from-text" ? [] : draft.images;
  const urls = images.flatMap((image) => (image.kind === "url" ? [image.url] : []));
  if (urls.length === images.length) {
    return json(JSON.stringify(urls.length === 0 ? fields : { ...fields, images: urls }));
  }
  const plain = Object.entries(fields).map(
    ([name, value]) => `--form-string ${shellQuote(`${name}=${asField(value)}`)}`,
  );
  const files = images.map((image) =>
    image.kind === "url"
      ? `--form-string ${shellQuote(`${imageName}=${image.url}`)}`
      : `-F ${shellQuote(`${imageName}=@"${image.name.replace(/["\\]/g, "\\$&")}";type=${image.contentType}`)}`,
  );
  return [...plain, ...files];
}

/** The value of a form's field: text unchanged, other values as JSON. */
function asField(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Options of Darkroom that are no parameters of DashScope: they are sent at the top of the body. */
const OUR_OPTIONS: ReadonlySet<string> = new Set([
  "priority",
  "onUncertain",
  "maxAttempts",
  "deadlineSeconds",
  "metadata",
]);

/** Parameters that have another name in DashScope's API. */
const DASHSCOPE_NAMES: Readonly<Record<string, string>> = { thinking: "enable_thinking" };

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function dashscopeBody({ prompt, model, ...fields }: RequestFields, images: readonly DraftImage[]): object {
  const entries = Object.entries(fields);
  const parameters = entries
    .filter(([name]) => !OUR_OPTIONS.has(name))
    .map(([name, value]) => [DASHSCOPE_NAMES[name] ?? snakeCase(name), value]);
  const content = [...images.map((image, index) => ({ image: dashscopeImage(image, index) })), { text: prompt }];
  return {
    model,
    input: { messages: [{ role: "user", content }] },
    parameters: Object.fromEntries(parameters),
    ...Object.fromEntries(entries.filter(([name]) => OUR_OPTIONS.has(name))),
  };
}

/** A place in the body that the shell fills with a file. No typed text contains a control character. */
function dashscopeImage(image: DraftImage, index: number): string {
  return image.kind === "url" ? image.url : `data:${image.contentType};base64,${fileMark(index)}`;
}

function fileMark(index: number): string {
  return `\u0001${index}\u0001`;
}

/** Commands that print the body with the base64 of each file in its place. A file is too long for an argument of a command. */
function printed(body: string, images: readonly DraftImage[]): string {
  const commands: string[] = [];
  let rest = body;
  for (const [index, image] of images.entries()) {
    if (image.kind === "url") continue;
    const mark = JSON.stringify(fileMark(index)).slice(1, -1);
    const at = rest.indexOf(mark);
    commands.push(`printf %s ${shellQuote(rest.slice(0, at))}`, `base64 < ${shellQuote(image.name)} | tr -d '\\n'`);
    rest = rest.slice(at + mark.length);
  }
  return `{ ${[...commands, `printf %s ${shellQuote(rest)}`].join("; ")}; }`;
}

/** Quotes any text so that it is inert in a POSIX shell. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
