/** Our own name of every field of a submission. */
export const FIELDS = [
  "prompt",
  "negativePrompt",
  "size",
  "n",
  "seed",
  "promptExtend",
  "watermark",
  "model",
  "images",
  "priority",
  "maxAttempts",
  "deadlineSeconds",
  "onUncertain",
  "metadata",
] as const;
export type Field = (typeof FIELDS)[number];

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Each spelling that a client may use at the top of a JSON body or as the name of a form's part. */
export const FLAT_SPELLINGS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ...FIELDS.flatMap((field): [string, Field][] => [
    [field, field],
    [snakeCase(field), field],
  ]),
  ["referenceImageUrl", "images"],
  ["reference_image_url", "images"],
]);

/** Forms repeat a part for each file; curl's and PHP's people name it in these ways too. */
export const FORM_SPELLINGS: ReadonlyMap<string, Field> = new Map([
  ...FLAT_SPELLINGS,
  ["image", "images"],
  ["images[]", "images"],
]);

/** What the vendor's envelope holds under `parameters`. */
export const PARAMETER_SPELLINGS: ReadonlyMap<string, Field> = new Map(
  [...FLAT_SPELLINGS].filter(([, field]) =>
    ["negativePrompt", "size", "n", "seed", "promptExtend", "watermark"].includes(field),
  ),
);

/** How many letters must be put in, left out or changed to turn one word into the other. */
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

/** Names that clients of other image services use for a field of ours. */
const FOREIGN_NAMES: Readonly<Record<string, string>> = {
  text: "prompt",
  num_images: "n",
  count: "n",
  image_size: "size",
  resolution: "size",
  image_url: "images",
  image_urls: "images",
  reference_images: "images",
};

const MAX_TYPED_CHARS = 40;

/** What somebody who typed `name` most likely meant; null when nothing is near. */
export function didYouMean(name: string, names: Iterable<string>): string | null {
  if (Object.hasOwn(FOREIGN_NAMES, name)) return FOREIGN_NAMES[name] ?? null;
  if (name.length > MAX_TYPED_CHARS) return null;
  let best: string | null = null;
  // Up to a third of the letters, 3 at most, may be wrong.
  let bestDistance = Math.min(3, Math.ceil(name.length / 3)) + 1;
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}
