/** The names under which clients give the fields of a submission, and the options of theirs that change nothing here. Pure. */

/** Our own name of every field of a submission. */
export const FIELDS = [
  "prompt",
  "negativePrompt",
  "size",
  "n",
  "seed",
  "promptExtend",
  "promptExtendMode",
  "thinking",
  "watermark",
  "model",
  "images",
  "priority",
  "maxAttempts",
  "deadlineSeconds",
  "onUncertain",
  "metadata",
  "webhook",
] as const;
export type Field = (typeof FIELDS)[number];

/** The fields that a form gives as the text of a number, of a boolean, or of JSON. */
export const NUMBERS: ReadonlySet<Field> = new Set(["n", "seed", "maxAttempts", "deadlineSeconds"]);
export const BOOLEANS: ReadonlySet<Field> = new Set(["promptExtend", "thinking", "watermark"]);
export const OBJECTS: ReadonlySet<Field> = new Set(["metadata", "webhook"]);

type Spellings = ReadonlyMap<string, Field>;

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function only(spellings: Spellings, ...fields: readonly Field[]): Spellings {
  return new Map([...spellings].filter(([, field]) => fields.includes(field)));
}

const EVERYWHERE: Spellings = new Map<string, Field>([
  ...FIELDS.flatMap((field): [string, Field][] => [
    [field, field],
    [snakeCase(field), field],
  ]),
  // The vendor's own names for `thinking`: in 3.0 and in wan 2.7.
  ["enable_thinking", "thinking"],
  ["thinking_mode", "thinking"],
]);

/** The places where a field may be, and its names there. */
export const SPELLINGS = {
  /** The top of a JSON body. */
  top: new Map([
    ...EVERYWHERE,
    ["image", "images"],
    ["referenceImageUrl", "images"],
    ["reference_image_url", "images"],
  ]),
  /** The parts of a form. */
  form: new Map([
    ...EVERYWHERE,
    ["image", "images"],
    ["image[]", "images"],
    ["images[]", "images"],
    ["referenceImageUrl", "images"],
    ["reference_image_url", "images"],
  ]),
  /** `input` of the vendor's envelope, beside `messages`: the fields that its older models take. */
  input: only(EVERYWHERE, "prompt", "negativePrompt", "images"),
  /** `parameters` of the vendor's envelope. */
  parameters: only(
    EVERYWHERE,
    "negativePrompt",
    "size",
    "n",
    "seed",
    "promptExtend",
    "promptExtendMode",
    "thinking",
    "watermark",
  ),
} as const satisfies Record<string, Spellings>;

/** The field of a form's part. PHP and Go clients number the parts of a list: `image[0]`. */
export function formFieldOf(name: string): Field | undefined {
  return SPELLINGS.form.get(name.replace(/\[\d{1,3}\]$/, "[]"));
}

/** Fields that only this service has. */
const OURS: readonly Field[] = ["priority", "maxAttempts", "deadlineSeconds", "onUncertain", "metadata", "webhook"];

/** Their spellings. Clients of the compatible APIs send them as extra fields. */
export const OWN_OPTIONS: ReadonlySet<string> = new Set(
  [...SPELLINGS.top].filter(([, field]) => OURS.includes(field)).map(([name]) => name),
);

/** An option of the vendor or of OpenAI's API that changes nothing here. */
interface IgnoredOption {
  /** Completes "NAME is ignored: …". */
  readonly because: string;
  /**
   * The values that may be ignored; any when absent. Another value asks for something that is not done here, and is refused.
   */
  readonly values?: readonly unknown[];
}

const LINKS = "every image is stored and given as a link";
const FORMAT = "images are stored as upstream makes them, and upstream makes PNG";
const QUALITY = "these models have no such choice";
const JOB = "the answer is a job, which is polled or watched";

/** By name; accepted at the top of a body, in `parameters` and in forms. */
export const IGNORED_OPTIONS: ReadonlyMap<string, IgnoredOption> = new Map<string, IgnoredOption>([
  ["response_format", { because: LINKS }],
  ["result_format", { because: JOB }],
  ["output_format", { because: FORMAT }],
  ["output_compression", { because: FORMAT }],
  ["quality", { because: QUALITY }],
  ["style", { because: QUALITY }],
  ["input_fidelity", { because: QUALITY }],
  ["moderation", { because: "upstream decides about moderation" }],
  ["background", { because: QUALITY, values: ["auto", "opaque"] }],
  ["user", { because: "the token says who submits" }],
  ["stream", { because: JOB, values: [false] }],
  ["incremental_output", { because: JOB }],
  ["partial_images", { because: JOB, values: [0] }],
  ["max_images", { because: "every image is made by itself" }],
  ["enable_interleave", { because: "every image is made by itself", values: [false] }],
  ["enable_sequential", { because: "every image is made by itself", values: [false] }],
  // A note that Addreams keeps for itself.
  ["productShootContext", { because: "nothing here reads it" }],
]);

/** Sizes of the `max` family that two clients misspell. */
export const MISSPELLED_SIZES: ReadonlyMap<string, string> = new Map([
  ["1472*1140", "1472*1104"],
  ["1140*1472", "1104*1472"],
]);

/** Names of a model that mean the deployment's default model of the workflow. */
export const DEFAULT_MODEL_ALIASES: ReadonlySet<string> = new Set(["image-generation-latest", "image-edit-latest"]);

/** Other services' names for our fields. */
const FOREIGN_NAMES: Readonly<Record<string, Field>> = {
  text: "prompt",
  description: "prompt",
  negative: "negativePrompt",
  num_images: "n",
  num_outputs: "n",
  batch_size: "n",
  count: "n",
  image_size: "size",
  resolution: "size",
  dimensions: "size",
  width: "size",
  height: "size",
  file: "images",
  files: "images",
  image_url: "images",
  image_urls: "images",
  init_image: "images",
  input_image: "images",
  base_image_url: "images",
  ref_img: "images",
  reference_images: "images",
};

const MAX_TYPED_CHARS = 40;

/**
 * The accepted name that `name` was most likely meant to be; null when none is near. Up to a quarter of the letters may be
 * wrong, three at most.
 */
export function didYouMean(name: string, accepted: Iterable<string>): string | null {
  const names = [...accepted];
  const foreign = Object.hasOwn(FOREIGN_NAMES, name) ? FOREIGN_NAMES[name] : undefined;
  if (foreign !== undefined) {
    return names.find((known) => known === foreign) ?? names.find((known) => known === snakeCase(foreign)) ?? null;
  }
  if (name.length > MAX_TYPED_CHARS) return null;
  let best: string | null = null;
  let bestDistance = Math.min(3, Math.ceil(name.length / 4)) + 1;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** How many letters must be added, removed or changed to turn one word into the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
