import fc from "fast-check";
import type { HttpAttack } from "./attack.ts";
import { formBodies } from "./form-bodies.ts";

/** Forms to the route that takes them, and sometimes to the one that takes fewer of their fields. */
export const formAttacks: fc.Arbitrary<HttpAttack> = fc
  .record({
    body: formBodies,
    workflow: fc.oneof({ weight: 6, arbitrary: fc.constant("image-from-reference") }, fc.constant("image-from-text")),
    key: fc.option(fc.constantFrom("one", "two", "three"), { freq: 3 }),
    target: fc.nat(10_000),
  })
  .map(({ body, workflow, key, target }) => ({
    kind: "form",
    operation: workflow === "image-from-text" ? "submitImageFromText" : "submitImageFromReference",
    method: "POST",
    path: `/api/workflows/${workflow}`,
    headers: [["content-type", body.contentType], ...(key === null ? [] : [["idempotency-key", key] as const])],
    credential: { as: "owner" },
    body: body.bytes,
    target,
  }));
