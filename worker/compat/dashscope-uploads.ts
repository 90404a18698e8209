/** DashScope's temporary uploads: a policy, the POST that it permits, and `oss://` addresses of what was uploaded. */
import { createHash } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { JOB_ID_PATTERN } from "../../schemas/paths.ts";
import { MAX_IMAGE_BYTES, MAX_INPUT_IMAGES } from "../../schemas/submit.ts";
import { sign, verify } from "../auth/signing-keys.ts";
import { within } from "../bounds.ts";
import { requireAsker, submitterOf } from "../http/access.ts";
import { ProblemError } from "../http/answers.ts";
import { type HttpContext, type HttpEnv, originOf } from "../http/context.ts";
import type { Found } from "../http/core/given-fields.ts";
import { formParts, imageBuffer, mediaTypeOf, refuseEncoded, textOf } from "../http/submit-body.ts";
import { brakeSubmissions } from "../http/submit-limits.ts";
import type { Upload, Uploads } from "../http/uploads.ts";
import { fromR2, namedFileKey } from "../results/job-files.ts";
import { jobStub, newJobId } from "../stubs.ts";

const PATH = "/api/v1/uploads";
const FOLDER = "dashscope-instant";
/** As at DashScope: a policy may be used for five minutes, and its uploads are kept for two days. */
const POLICY_SECONDS = 300;
const KEPT_MS = 48 * 3_600_000;
const READ_BOUND_MS = 30_000;
/** The limit on a form without its file. A policy, a signature and a key take 3 KB. */
const MAX_FIELD_BYTES = 64 * 1024;
const FIELDS_TOO_LARGE = `The fields of a form may have ${MAX_FIELD_BYTES} bytes at most.`;

/** What a signed policy permits: files of one client in one folder, until an end. */
const Policy = z.object({ client: z.string(), folder: z.string().regex(JOB_ID_PATTERN), endsAtMs: z.int() });
type Policy = z.infer<typeof Policy>;

function policyText(policy: Policy): string {
  return btoa(JSON.stringify(policy));
}

/** Open mode has no secret, and everyone may upload. */
function signatureOf(c: HttpContext, text: string): string {
  const [secret] = c.get("config").signingSecrets;
  return secret === undefined ? "open" : sign(secret, "upload policy", text);
}

/** What the signed policy of a form permits now; null when it is not valid. */
function permitted(c: HttpContext, text: string, signature: string): Policy | null {
  const { authMode, signingSecrets } = c.get("config");
  if (authMode === "open") requireAsker(c);
  else if (!verify(signingSecrets, "upload policy", text, signature)) return null;
  try {
    const policy = Policy.parse(JSON.parse(atob(text)));
    return Date.now() < policy.endsAtMs ? policy : null;
  } catch {
    return null;
  }
}

function givePolicy(c: HttpContext): Response {
  const client = submitterOf(c, requireAsker(c));
  brakeSubmissions(c, client);
  if (c.req.query("action") !== "getPolicy") {
    throw new ProblemError("invalid_query", "The query must have action=getPolicy.");
  }
  const folder = newJobId(c.env.JOBS, client, null, 0);
  const text = policyText({ client, folder, endsAtMs: Date.now() + POLICY_SECONDS * 1000 });
  const maxMb = MAX_IMAGE_BYTES / 1024 / 1024;
  return Response.json({
    request_id: c.get("requestId"),
    data: {
      policy: text,
      signature: signatureOf(c, text),
      upload_dir: `${FOLDER}/${folder}`,
      upload_host: `${originOf(c)}${PATH}`,
      expire_in_seconds: POLICY_SECONDS,
      max_file_size_mb: maxMb,
      capacity_limit_mb: maxMb,
      oss_access_key_id: "darkroom",
      x_oss_object_acl: "private",
      x_oss_forbid_overwrite: "true",
    },
  });
}

/** An error in the form of the object storage behind DashScope's uploads. */
class StorageError extends Error {
  readonly #status: number;
  readonly #code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.#status = status;
    this.#code = code;
  }

  answer(): Response {
    const error = `<Error><Code>${this.#code}</Code><Message>${this.message}</Message></Error>`;
    const text = `<?xml version="1.0" encoding="UTF-8"?>\n${error}\n`;
    return new Response(text, { status: this.#status, headers: { "Content-Type": "application/xml" } });
  }
}

function namedKey(folder: string, name: string): string {
  return namedFileKey(folder, createHash("sha256").update(name).digest("hex"));
}

/** An uploaded form whose policy permits it. */
interface UploadForm {
  readonly policy: Policy;
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly successStatus: number;
}

/** What the fields of a form permit: a folder, and the name of a file in it. */
function permittedBy(c: HttpContext, fields: ReadonlyMap<string, string>): { policy: Policy; name: string } {
  const policy = permitted(c, fields.get("policy") ?? "", fields.get("signature") ?? "");
  if (policy === null) throw new StorageError(403, "AccessDenied", "The policy is not ours, or its time is over.");
  const folder = `${FOLDER}/${policy.folder}/`;
  const key = fields.get("key") ?? "";
  if (!key.startsWith(folder) || key.length === folder.length || key.length > 1023) {
    throw new StorageError(403, "AccessDenied", `The key must begin with ${folder} and have a file name.`);
  }
  return { policy, name: key.slice(folder.length) };
}

/**
 * Reads a form up to its file, which comes last, as in the storage behind DashScope: anything after it is dropped. A client
 * that sends more than the fields may have must have sent a valid policy by then, so that nothing large is kept for an
 * unknown sender.
 */
async function readUpload(c: HttpContext): Promise<UploadForm> {
  const fields = new Map<string, string>();
  const allow = (bytes: number) => {
    if (bytes > MAX_FIELD_BYTES) permittedBy(c, fields);
  };
  let fieldBytes = 0;
  for await (const part of formParts(c, "an upload", MAX_IMAGE_BYTES + MAX_FIELD_BYTES, allow)) {
    const field = part.name.toLowerCase();
    if (part.isFile || field === "file") {
      const { policy, name } = permittedBy(c, fields);
      if (part.bytes > MAX_IMAGE_BYTES) throw fileTooLarge();
      const successStatus = fields.get("success_action_status") === "200" ? 200 : 204;
      return { policy, name, bytes: imageBuffer()(part), successStatus };
    }
    fieldBytes += part.bytes;
    if (fieldBytes > MAX_FIELD_BYTES) throw new StorageError(400, "MaxPOSTPreDataLengthExceeded", FIELDS_TOO_LARGE);
    fields.set(field, textOf(part));
  }
  permittedBy(c, fields);
  throw new StorageError(400, "InvalidArgument", "The form has no file.");
}

function fileTooLarge(): StorageError {
  return new StorageError(400, "EntityTooLarge", `A file may have ${MAX_IMAGE_BYTES} bytes at most.`);
}

async function keepFile(c: HttpContext, { policy, name, bytes }: UploadForm): Promise<void> {
  // The object of this id removes the file in the end, even after a crash at this point.
  const object = jobStub(c.env, policy.folder);
  if ((await object.expectUploads(crypto.randomUUID(), Date.now() + KEPT_MS)) !== "new") {
    throw new StorageError(403, "AccessDenied", "The folder is in use.");
  }
  const put = c.env.RESULTS.put(namedKey(policy.folder, name), bytes, {
    customMetadata: { client: policy.client },
    onlyIf: { etagDoesNotMatch: "*" },
  });
  if ((await fromR2(put)) !== null) return;
  throw new StorageError(409, "FileAlreadyExists", "There is a file of this name.");
}

async function takeFile(c: HttpContext): Promise<Response> {
  refuseEncoded(c);
  if (mediaTypeOf(c) !== "multipart/form-data") {
    throw new ProblemError("unsupported_media_type", "An upload is multipart/form-data.");
  }
  try {
    const form = await readUpload(c);
    brakeSubmissions(c, form.policy.client);
    await keepFile(c, form);
    return new Response(null, { status: form.successStatus });
  } catch (error) {
    if (error instanceof StorageError) return error.answer();
    const isTooLarge = error instanceof ProblemError && ["body_too_large", "image_too_large"].includes(error.code);
    if (isTooLarge) return fileTooLarge().answer();
    throw error;
  }
}

/** The bytes of an uploaded file; null when this client has no such file. */
async function uploadedBytes(c: HttpContext, client: string, address: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const [, folder = "", name = ""] = new RegExp(`^oss://${FOLDER}/([^/]+)/(.+)$`, "s").exec(address) ?? [];
  if (!JOB_ID_PATTERN.test(folder) || name === "") return null;
  const object = await fromR2(c.env.RESULTS.get(namedKey(folder, name)));
  if (object === null) return null;
  if (object.customMetadata?.client !== client) {
    await object.body.cancel();
    return null;
  }
  return new Uint8Array(await within(READ_BOUND_MS, "the bucket", object.arrayBuffer()));
}

/** The fields found in a body, with uploaded files in place of their `oss://` addresses. Each file is read once. */
export async function withUploaded(c: HttpContext, uploads: Uploads, found: Found): Promise<Found> {
  const client = submitterOf(c, requireAsker(c));
  const known = new Map<string, Upload>();
  const resolved = async (value: unknown, path: string): Promise<unknown> => {
    if (typeof value !== "string" || !value.startsWith("oss://")) return value;
    const taken = known.get(value);
    if (taken !== undefined) return taken;
    const bytes = await uploadedBytes(c, client, value);
    if (bytes !== null) {
      const upload = await uploads.take(bytes);
      known.set(value, upload);
      return upload;
    }
    const message = "is no file that this client uploaded here in the last 48 hours";
    throw new ProblemError("invalid_request", `The image ${path} ${message}.`, { errors: [{ path, message }] });
  };
  const given: Found["given"][number][] = [];
  for (const giving of found.given) {
    if (giving.field !== "images") {
      given.push(giving);
      continue;
    }
    const { value, pointer } = giving;
    if (Array.isArray(value) && value.length > MAX_INPUT_IMAGES) {
      const message = `has ${value.length} images; at most ${MAX_INPUT_IMAGES} are allowed`;
      throw new ProblemError("invalid_request", `The list ${pointer} ${message}.`, {
        errors: [{ path: pointer, message }],
      });
    }
    const items: unknown[] = [];
    for (const [index, item] of (Array.isArray(value) ? value : [value]).entries()) {
      items.push(await resolved(item, Array.isArray(value) ? `${pointer}/${index}` : pointer));
    }
    given.push({ ...giving, value: Array.isArray(value) ? items : items[0] });
  }
  return { ...found, given };
}

/** `GET` gives a policy to a client; the `POST` that it permits needs no token. */
export const policyRoutes = new Hono<HttpEnv>().get(PATH, givePolicy).post(PATH, takeFile);
