import { type DarkroomService, problemOf } from "@darkroom/client";

interface Env {
  readonly DARKROOM: DarkroomService;
}

/** An app that makes postcards: `POST /postcards?prompt=…&order=…`, then `GET /postcards/:id` until the image comes. */
export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url);
    const [, what, id] = url.pathname.split("/");
    try {
      if (what !== "postcards") return new Response("not found", { status: 404 });
      if (request.method === "POST") return await order(env, url);
      return await deliver(env, id ?? "", request.signal);
    } catch (error) {
      const problem = problemOf(error);
      if (problem === null) throw error;
      return Response.json({ code: problem.code, detail: problem.detail }, { status: problem.status });
    }
  },
} satisfies ExportedHandler<Env>;

/** The order's number makes a repeated request answer with the same job. */
async function order(env: Env, url: URL): Promise<Response> {
  const prompt = url.searchParams.get("prompt") ?? "";
  const idempotencyKey = `order ${url.searchParams.get("order")}`;
  const job = await env.DARKROOM.submit("image-from-text", { prompt }, { idempotencyKey });
  return Response.json(
    { postcard: `/postcards/${job.id}`, startsAt: job.queue?.estimatedStartAt ?? null },
    { status: 202 },
  );
}

/** Waits up to 25 s for the image and streams it; answers 202 while it is not there. */
async function deliver(env: Env, id: string, signal: AbortSignal): Promise<Response> {
  const job = await env.DARKROOM.wait(id, { signal, timeoutSeconds: 25 });
  if (job.status === "succeeded") return await env.DARKROOM.image(id, 0, { w: 640 });
  if (job.done) return Response.json({ code: job.error?.code ?? job.status }, { status: 424 });
  return Response.json({ position: job.queue?.position ?? null }, { status: 202, headers: { "Retry-After": "1" } });
}
