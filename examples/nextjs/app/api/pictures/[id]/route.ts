import { darkroom, pictureOf, refusalOf } from "../../../../darkroom.ts";

/** Seconds that the platform lets this handler run: longer than the wait below. */
export const maxDuration = 30;

/** Waits for the picture for up to 20 s, then answers with the state. The browser asks again while `done` is false. */
export async function GET(request: Request, { params }: { params: Promise<{ id: string }> }): Promise<Response> {
  const { id } = await params;
  const timeout = AbortSignal.timeout(20_000);
  try {
    const job = await darkroom.wait(id, { signal: AbortSignal.any([request.signal, timeout]) }).catch((error) => {
      if (!timeout.aborted) throw error;
      return darkroom.get(id, { signal: request.signal });
    });
    return Response.json(pictureOf(job), { status: job.done ? 200 : 202, headers: { "Cache-Control": "no-store" } });
  } catch (error) {
    return refusalOf(error);
  }
}
