/** Every route of the API. The Worker mounts these, and the client and the page build addresses from them. */

/** Ids are `job_` and 21 to 64 URL-safe characters. */
export const JOB_ID_PATTERN = /^job_[A-Za-z0-9_-]{21,64}$/;

export const WORKFLOWS = ["image-from-text", "image-from-reference"] as const;
export type Workflow = (typeof WORKFLOWS)[number];

export const paths = {
  health: "/api/health",
  limits: "/api/limits",
  usage: "/api/usage",
  session: "/api/session",
  openapi: "/api/openapi.json",
  docs: "/api/docs",
  doctor: "/api/doctor",
  metrics: "/api/metrics",
  operatorLog: "/api/operator/log",
  lane: (model: string) => `/api/lanes/${model}`,
  lanePause: (model: string) => `/api/lanes/${model}/pause`,
  clientPause: (client: string) => `/api/clients/${client}/pause`,
  clientResume: (client: string) => `/api/clients/${client}/resume`,
  laneResume: (model: string) => `/api/lanes/${model}/resume`,
  feed: "/api/events",
  jobs: "/api/jobs",
  jobCounts: "/api/jobs/counts",
  jobsBulk: "/api/jobs/bulk",
  workflow: (workflow: Workflow) => `/api/workflows/${workflow}`,
  job: (id: string) => `/api/jobs/${id}`,
  jobEvents: (id: string) => `/api/jobs/${id}/events`,
  jobImage: (id: string, index: number) => `/api/jobs/${id}/images/${index}`,
  jobInput: (id: string, index: number) => `/api/jobs/${id}/inputs/${index}`,
  jobShare: (id: string) => `/api/jobs/${id}/share`,
  jobCancel: (id: string) => `/api/jobs/${id}/cancel`,
  jobRetry: (id: string) => `/api/jobs/${id}/retry`,
  jobDeliveries: (id: string) => `/api/jobs/${id}/deliveries`,
  jobResend: (id: string, number: number | string) => `/api/jobs/${id}/deliveries/${number}/resend`,
  webhookTest: "/api/webhooks/test",
  webhookSecret: "/api/webhooks/secret",
  /** The page's own address of a job; not under /api. */
  jobPage: (id: string) => `/jobs/${id}`,
  /** The page that shows a job to everyone with its share link; not under /api. */
  sharedPage: (id: string) => `/shared/${id}`,
} as const;

/** Widths of image variants; `srcset` lists them all. A narrower image keeps its own width. */
export const VARIANT_WIDTHS = [320, 640, 1280] as const;
export type VariantWidth = (typeof VARIANT_WIDTHS)[number];

export const VARIANT_FORMATS = ["webp", "jpeg", "png"] as const;
export type VariantFormat = (typeof VARIANT_FORMATS)[number];

/** The parameters of an image variant: `q`, 1…100, is for webp and jpeg. Without `format` it is webp. */
export interface VariantAsk {
  readonly w?: VariantWidth;
  readonly format?: VariantFormat;
  readonly q?: number;
}

/**
 * The address of a variant of the image at `imageUrl`, which may be a signed link: it opens the variants too. Equal
 * parameters give equal addresses, so that caches can reuse them.
 */
export function variantUrl(imageUrl: string, { w, format, q }: VariantAsk): string {
  const asked = Object.entries({ w, format, q }).flatMap(([key, value]) =>
    value === undefined ? [] : `${key}=${value}`,
  );
  if (asked.length === 0) return imageUrl;
  return `${imageUrl}${imageUrl.includes("?") ? "&" : "?"}${asked.join("&")}`;
}
