import { z } from "zod";
import { JobId, JobStatus } from "../../../schemas/job.ts";
import { VARIANT_FORMATS, VARIANT_WIDTHS, WORKFLOWS } from "../../../schemas/paths.ts";

const described = (schema: z.ZodType, description: string) => schema.optional().meta({ description });

const client = described(z.string(), "For the operator: whose jobs. A client may name itself only.");
export const jobPath = z.object({ id: JobId });
export const imagePath = z.object({ id: JobId, index: z.int().min(0).meta({ description: "From 0." }) });

/** Of a route that takes no query at all. */
export const noQuery = z.object({});
export const clientQuery = z.object({ client });

const linkShape = {
  client,
  end: described(z.int(), "Of a signed link: when it ends, in epoch seconds."),
  signature: described(z.string(), "Of a signed link; stands for a token, for this address alone."),
};
export const linkQuery = z.object(linkShape);

export const imageQuery = z.object({
  ...linkShape,
  w: described(
    z.literal([...VARIANT_WIDTHS]),
    "Of a variant: its width in pixels. An image is never made larger, and none gets more than 3 000 000 pixels.",
  ),
  format: described(z.enum(VARIANT_FORMATS), "Of a variant: `webp` when absent."),
  q: described(
    z.int().min(1).max(100),
    "Of a webp or jpeg variant: its quality, 75 when absent, rounded up to a multiple of 5.",
  ),
});

const after = described(
  z.int().min(0),
  "The last number seen; what came since follows. `Last-Event-ID` says the same.",
);

export const eventsQuery = z.object({
  ...linkShape,
  after,
  limit: described(z.int().min(1).max(1000), "100 when absent. Of the JSON form only."),
});
export const feedQuery = z.object({ client, after });

export const prefer = described(
  z.string(),
  "`wait=N` (60 at most) holds the answer: after a submit until the job is done; on a status with If-None-Match until anything changes, without until done.",
);

/** Of a list and of its counts: which jobs are meant. */
export const filterQuery = z.object({
  client,
  status: described(z.array(JobStatus), "Repeated, or parted by commas; empty, it is no filter."),
  workflow: described(z.enum(WORKFLOWS), "Only jobs of this workflow."),
  model: described(z.string(), "Only jobs of this model."),
  q: described(
    z.string(),
    "Words that the prompt must contain, in any order and script; case, accents and full width do not matter.",
  ),
  before: described(z.iso.datetime({ offset: true }), "Only jobs submitted before this moment."),
  "metadata.KEY": described(
    z.string(),
    "Only jobs whose metadata has this value under KEY; several of them must all hold. Values are compared as text.",
  ),
});

export const listQuery = z.object({
  ...filterQuery.shape,
  limit: described(z.int().min(1).max(100), "20 when absent."),
  cursor: described(z.string(), "`nextCursor` of the page before."),
});

export const submitHeaders = z.object({
  "Idempotency-Key": described(
    z.string(),
    "One, with or without quotes (with, when a comma is in it), of 255 printable ASCII characters at most. The same submission again answers the same job.",
  ),
  Prefer: prefer,
});

export const readHeaders = z.object({
  "If-None-Match": described(z.string(), "An ETag; the same version is a 304."),
  Prefer: prefer,
});
