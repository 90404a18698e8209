/** Every route of the API, in one place: the Worker mounts them, the client and the page build them from here. */

/** Ids are `job_` and 21 URL-safe characters. */
export const JOB_ID_PATTERN = /^job_[A-Za-z0-9_-]{21}$/;

export const WORKFLOWS = ["image-from-text", "image-from-reference"] as const;
export type Workflow = (typeof WORKFLOWS)[number];

export const paths = {
  health: "/api/health",
  limits: "/api/limits",
  session: "/api/session",
  openapi: "/api/openapi.json",
  docs: "/api/docs",
  feed: "/api/events",
  jobs: "/api/jobs",
  jobCounts: "/api/jobs/counts",
  workflow: (workflow: Workflow) => `/api/workflows/${workflow}`,
  job: (id: string) => `/api/jobs/${id}`,
  jobEvents: (id: string) => `/api/jobs/${id}/events`,
  jobImage: (id: string, index: number) => `/api/jobs/${id}/images/${index}`,
  jobCancel: (id: string) => `/api/jobs/${id}/cancel`,
  jobRetry: (id: string) => `/api/jobs/${id}/retry`,
  /** The page's own address of a job; not under /api. */
  jobPage: (id: string) => `/jobs/${id}`,
} as const;
