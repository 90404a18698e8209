import fc from "fast-check";
import type { HttpAttack } from "./attack.ts";
import { credential } from "./credentials.ts";
import { hostileHeaders } from "./hostile-headers.ts";
import type { ApiDocument } from "./operation-attacks.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE", "PURGE", "LOCK"];
const ODD_PATHS = [
  "/",
  "/api",
  "/api/",
  "/api//jobs",
  "/api/jobs/",
  "/API/JOBS",
  "/api/jobs/@id@/",
  "/api/jobs/%0A/",
  "/api/jobs/@id@/images",
  "/api/jobs/@id@/images/0/",
  "/jobs/@id@",
  "/index.html",
  "/%2e%2e/%2e%2e/etc/passwd",
  "//evil.example/",
  "/api/..%2fadmin",
  "/api/openapi.json/",
  "/.env",
  "/api/\\jobs",
  "/assets/",
];

/** Any method on any path, known or not, with only hostile headers. */
export function headerAttacks({ paths }: ApiDocument): fc.Arbitrary<HttpAttack> {
  const known = Object.keys(paths).map((path) => path.replace("{id}", "@id@").replace("{index}", "0"));
  return fc
    .record({
      method: fc.oneof(
        { weight: 2, arbitrary: fc.constant("GET") },
        { weight: 3, arbitrary: fc.constantFrom(...METHODS) },
      ),
      path: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...known, "@events@", "@image@") },
        { weight: 1, arbitrary: fc.constantFrom(...ODD_PATHS) },
      ),
      headers: hostileHeaders,
      credential,
      body: fc.option(
        fc.constantFrom("{}", '{"prompt":"a"}', "x", "").map((text) => Buffer.from(text)),
        { freq: 2 },
      ),
      target: fc.nat(10_000),
    })
    .map(
      (attack): HttpAttack => ({
        kind: "headers",
        operation: null,
        ...attack,
        body: ["GET", "HEAD", "TRACE"].includes(attack.method) ? null : attack.body,
      }),
    );
}
