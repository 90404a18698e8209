import fc from "fast-check";
import type { Credential } from "./attack.ts";
import { hostileValue } from "./hostile-headers.ts";

/** Mostly credentials that are allowed, so that the code after authentication is tested too. */
export const credential: fc.Arbitrary<Credential> = fc.oneof(
  { weight: 14, arbitrary: fc.constant<Credential>({ as: "owner" }) },
  { weight: 2, arbitrary: fc.constantFrom<Credential>({ as: "operator" }, { as: "session" }) },
  { weight: 1, arbitrary: fc.constantFrom<Credential>({ as: "other" }, { as: "nobody" }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("authorization" as const, "cookie" as const)
      .chain((name) => hostileValue(name).map((value): Credential => ({ as: "header", name, value }))),
  },
);
