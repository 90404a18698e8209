import { createHash } from "node:crypto";
import { Hono } from "hono";
import type { Emulator } from "./emulator.ts";
import { fileOf } from "./generation.ts";
import type { LedgerImage } from "./ledger.ts";
import { judgeLink, ossError, ossRequestId, RESULTS_PREFIX } from "./oss.ts";
import { cut, cutAmid, type EmulatorContext, type EmulatorEnv } from "./wire-response.ts";

function headersOf(image: LedgerImage, contentType: string): Record<string, string> {
  return {
    server: "AliyunOSS",
    "content-type": contentType,
    "x-oss-request-id": ossRequestId(),
    "x-oss-object-type": "Normal",
    "accept-ranges": "bytes",
    // OSS uses an MD5. A client cannot tell the difference, and hashing again would delay each download.
    etag: `"${image.sha256.slice(0, 32).toUpperCase()}"`,
    "last-modified": new Date(image.atMs).toUTCString(),
  };
}

/** One range of a file as `bytes=a-b`. Any other header is answered with the whole file, as OSS does. */
function rangeOf(header: string | undefined, bytes: number): { readonly first: number; readonly last: number } | null {
  const parts = /^bytes=(\d+)-(\d*)$/.exec(header ?? "");
  if (parts === null) return null;
  const first = Number(parts[1]);
  const last = parts[2] === "" ? bytes - 1 : Math.min(Number(parts[2]), bytes - 1);
  return first <= last ? { first, last } : null;
}

function whole(c: EmulatorContext, image: LedgerImage, file: Buffer): Response {
  const headers = headersOf(image, "image/png");
  const range = rangeOf(c.req.header("range"), file.length);
  if (range !== null) {
    headers["content-range"] = `bytes ${range.first}-${range.last}/${file.length}`;
    const part = file.subarray(range.first, range.last + 1);
    return new Response(Uint8Array.from(part), { status: 206, headers });
  }
  headers["content-length"] = String(file.length);
  return new Response(c.req.method === "HEAD" ? null : new Uint8Array(file), { headers });
}

/** A download with the link's fault. */
async function spoilt(emulator: Emulator, c: EmulatorContext, image: LedgerImage, file: Buffer): Promise<Response> {
  const { linkFault } = image;
  const { clock, stopping } = emulator;
  switch (linkFault?.how) {
    case "truncated": {
      // HTTP sees a complete answer; only the PNG itself ends too early.
      const part = file.subarray(0, Math.floor(file.length * 0.7));
      return new Response(new Uint8Array(part), { headers: headersOf(image, "image/png") });
    }
    case "damaged": {
      // The stored file itself ends too early, and its checksums match that file.
      const part = file.subarray(0, Math.floor(file.length * 0.7));
      const md5 = createHash("md5").update(part).digest();
      const sums = { etag: `"${md5.toString("hex").toUpperCase()}"`, "content-md5": md5.toString("base64") };
      return new Response(new Uint8Array(part), { headers: { ...headersOf(image, "image/png"), ...sums } });
    }
    case "html": {
      const page = Buffer.from("<!doctype html><title>Sign in</title><h1>Please sign in to this network</h1>");
      return new Response(new Uint8Array(page), { headers: headersOf(image, "text/html") });
    }
    case "wrong-type":
      return new Response(new Uint8Array(file), { headers: headersOf(image, "application/octet-stream") });
    case "empty":
      return new Response(new Uint8Array(0), { headers: headersOf(image, "image/png") });
    case "cut":
      return cutAmid(c, headersOf(image, "image/png"), file, Math.floor(file.length / 2));
    case "forbidden":
      return ossError(403, "AccessDenied", "You have no right to access this object because of bucket acl.");
    case "not-found":
      return ossError(404, "NoSuchKey", "The specified key does not exist.", `  <Key>${image.path.slice(1)}</Key>\n`);
    case "server-error":
      return ossError(503, "ServiceUnavailable", "The service is temporarily unavailable, please try again later.");
    case "hang":
      await clock.sleep(emulator.state.settings.gatewayTimeoutMs, stopping);
      return cut(c);
    case "slow":
      await clock.sleep(linkFault.delayMs, stopping);
      return whole(c, image, file);
    case "inline":
    case undefined:
      return whole(c, image, file);
  }
}

/** `status: null`: the connection is cut, whatever the head says. */
function statusOf(image: LedgerImage, goesWrong: boolean, response: Response): number | null {
  const cutOff = goesWrong && (image.linkFault?.how === "cut" || image.linkFault?.how === "hang");
  return cutOff ? null : response.status;
}

/** Result files behind signed links, as OSS serves them: 403 with XML after the link's end. */
export function resultRoutes(emulator: Emulator): Hono<EmulatorEnv> {
  const routes = new Hono<EmulatorEnv>();
  // Hono answers HEAD with the handler of GET.
  routes.get(`${RESULTS_PREFIX}/*`, async (c) => {
    const { state, painter, clock } = emulator;
    const url = new URL(c.req.url);
    const path = url.pathname.slice(RESULTS_PREFIX.length);
    state.settleTasks();
    const image = state.ledger.image(path);
    switch (judgeLink(path, url.searchParams, clock.now())) {
      case "unsigned":
        return ossError(403, "AccessDenied", "You have no right to access this object because of bucket acl.");
      case "tampered":
        return ossError(
          403,
          "SignatureDoesNotMatch",
          "The request signature we calculated does not match the signature you provided.",
        );
      case "expired": {
        if (image !== null) state.noteDownload(path, 403);
        const expires = new Date(Number(url.searchParams.get("Expires")) * 1000).toISOString();
        return ossError(
          403,
          "AccessDenied",
          "Request has expired.",
          `  <Expires>${expires}</Expires>\n  <ServerTime>${new Date(clock.now()).toISOString()}</ServerTime>\n`,
        );
      }
      case "open": {
        const file = image === null ? null : await fileOf(painter, image);
        if (image === null || file === null) {
          return ossError(404, "NoSuchKey", "The specified key does not exist.", `  <Key>${path.slice(1)}</Key>\n`);
        }
        const { linkFault } = image;
        const goesWrong = linkFault !== null && (linkFault.times === null || image.downloads.length < linkFault.times);
        const response = goesWrong ? await spoilt(emulator, c, image, file) : whole(c, image, file);
        state.noteDownload(path, statusOf(image, goesWrong, response));
        return response;
      }
    }
  });
  return routes;
}
