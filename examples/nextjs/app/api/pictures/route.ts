import { darkroom, pictureOf, refusalOf } from "../../../darkroom.ts";

/**
 * Orders a picture: `{"prompt": "…"}`. A browser that repeats a request sends the same `Idempotency-Key`, and gets the same
 * picture. Answers at once; the picture is read from `GET /api/pictures/:id`.
 */
export async function POST(request: Request): Promise<Response> {
  const body: unknown = await request.json().catch(() => null);
  const prompt = typeof body === "object" && body !== null && "prompt" in body ? String(body.prompt) : "";
  const idempotencyKey = request.headers.get("idempotency-key") ?? undefined;
  try {
    const job = await darkroom.submit("image-from-text", { prompt }, { idempotencyKey, signal: request.signal });
    return Response.json(pictureOf(job), { status: 202, headers: { Location: `/api/pictures/${job.id}` } });
  } catch (error) {
    return refusalOf(error);
  }
}
