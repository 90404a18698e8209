import type { DarkroomService } from "../../schemas/service.ts";

/** An app's Worker for tests: carries out one call of `DarkroomService` that its request's body describes. */
export interface Call {
  readonly binding?: "DARKROOM" | "OTHER" | "NAMELESS";
  readonly method: Exclude<keyof DarkroomService, "fetch">;
  readonly args: readonly unknown[];
  /** Aborts the call's signal after this time. */
  readonly abortAfterMs?: number;
  /** Base64 of a file that replaces the first image of the request. */
  readonly file?: string;
}

type Methods = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

export default {
  async fetch(request: Request, env: Readonly<Record<string, Methods>>): Promise<Response> {
    const { binding = "DARKROOM", method, args, abortAfterMs, file } = (await request.json()) as Call;
    const given = [...args];
    if (file !== undefined) given[1] = { ...(given[1] as object), images: [bytesOf(file)] };
    if (abortAfterMs !== undefined) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("the reader left")), abortAfterMs);
      given.push({ signal: controller.signal });
    }
    try {
      const value = await env[binding]?.[method]?.(...given);
      return value instanceof Response ? new Response(value.body, value) : Response.json({ value });
    } catch (error) {
      const { name, message, code, status } = error as Error & { code?: string; status?: number };
      return Response.json({ error: { name, message, code, status } });
    }
  },
};

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
