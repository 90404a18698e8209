import { createDarkroomClient, type Job, problemOf, variantUrl } from "@darkroom/client";

/** Lives on the server only: browsers call the route handlers, and never see the token. */
export const darkroom = createDarkroomClient({
  baseUrl: process.env.DARKROOM_URL ?? "http://localhost:8787",
  token: process.env.DARKROOM_TOKEN,
});

/** What a browser gets of a job. Image links are signed: they work in `<img>` without a token. */
export function pictureOf(job: Job) {
  return {
    id: job.id,
    status: job.status,
    done: job.done,
    position: job.queue?.position ?? null,
    startsAt: job.queue?.estimatedStartAt ?? null,
    error: job.error?.message ?? null,
    images: (job.output?.images ?? []).map(({ url }) => ({ full: url, small: variantUrl(url, { w: 640 }) })),
  };
}

/** Answers with Darkroom's refusal, for example 400 for a bad prompt or 429 for too many jobs. Throws every other error. */
export function refusalOf(error: unknown): Response {
  const problem = problemOf(error);
  if (problem === null) throw error;
  return Response.json({ code: problem.code, detail: problem.detail }, { status: problem.status });
}
