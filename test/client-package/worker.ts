import { createDarkroomClient, type DarkroomClient, DarkroomProblem } from "@darkroom/client";
import { TextSubmit } from "@darkroom/client/schemas";
import { verifyWebhook } from "@darkroom/client/webhooks";

interface Env {
  readonly DARKROOM: Fetcher;
  readonly DARKROOM_TOKEN: string;
  readonly WEBHOOK_SECRET: string;
}

/** A client over the service binding's `fetch` instead of the network. */
function clientOf(env: Env): DarkroomClient {
  return createDarkroomClient({
    baseUrl: "https://darkroom.example.com",
    token: env.DARKROOM_TOKEN,
    fetch: (input, init) => env.DARKROOM.fetch(input, init),
  });
}

/** The runtime's own `fetch` and `WebSocket` fit without a wrapper. */
export const overTheNetwork = createDarkroomClient({ baseUrl: "https://darkroom.example.com", fetch, WebSocket });

export default {
  async fetch(request, env): Promise<Response> {
    if (new URL(request.url).pathname === "/webhook") {
      const event = await verifyWebhook(request, env.WEBHOOK_SECRET);
      return new Response(event?.id ?? null);
    }
    const body = TextSubmit.safeParse(await request.json());
    if (!body.success) return new Response(body.error.message, { status: 400 });
    try {
      const job = await clientOf(env).submit("image-from-text", body.data, { signal: request.signal });
      return Response.json({ id: job.id, startsAt: job.queue?.estimatedStartAt ?? null }, { status: 202 });
    } catch (error) {
      if (error instanceof DarkroomProblem) return Response.json(error.problem, { status: error.status });
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;
