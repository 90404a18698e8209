import { type VerifiedWebhook, verifyWebhook, WebhookVerificationError } from "@darkroom/client/webhooks";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

/** What `GET /api/webhooks/secret` shows; two secrets, parted by a comma, while it is rotated. */
const secrets = (process.env.DARKROOM_WEBHOOK_SECRET ?? "").split(",");

/** The events that were handled. A real app keeps them in its database, in the same transaction as what it does with them. */
const handled = new Set<string>();

/** Called once for each event. */
function handle(event: VerifiedWebhook): void {
  switch (event.type) {
    case "job.succeeded":
      console.log(event.id, "succeeded:", event.data.job.output?.images.map(({ url }) => url).join(" "));
      break;
    case "job.failed":
      console.log(event.id, "failed:", event.data.job.error?.message);
      break;
    case "job.canceled":
      console.log(event.id, "was canceled");
      break;
    case "budget.alert":
      console.log(event.id, "spend:", JSON.stringify(event.data));
      break;
  }
}

const app = new Hono();

app.post("/darkroom", async (c) => {
  try {
    const event = await verifyWebhook(c.req.raw, secrets);
    // Null: a type that is newer than this program. The same id again: the answer to an earlier try was lost.
    if (event !== null && !handled.has(event.id)) {
      handle(event);
      handled.add(event.id);
    }
    return c.body(null, 204);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return c.json({ error: error.code }, 400);
  }
});

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`listening on http://localhost:${port}/darkroom`);
});
