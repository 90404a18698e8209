import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const ROOT = join(import.meta.dirname, "../../dist/web");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

/** Serves only the built page, with the headers that `_headers` sets for all paths, and with the page at every other path. */
export async function servePageFiles(): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const headers = headersForAll();
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://page").pathname);
    const file = join(ROOT, path);
    const found = path !== "/" && existsSync(file) ? file : join(ROOT, "index.html");
    response.writeHead(200, { ...headers, "Content-Type": TYPES[extname(found)] ?? "application/octet-stream" });
    createReadStream(found).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A listening TCP server has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function headersForAll(): Record<string, string> {
  const [, block = ""] = /^\/\*\n((?: {2}.+\n?)+)/.exec(readFileSync(join(ROOT, "_headers"), "utf8")) ?? [];
  const pairs = block
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/:\s(.*)/s));
  return Object.fromEntries(pairs.map(([name = "", value = ""]) => [name, value]));
}
