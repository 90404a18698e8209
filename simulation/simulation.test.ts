import { afterAll, describe, expect, it } from "vitest";
import { Crew } from "./crew.ts";

describe("the platform's simulation", () => {
  const crew = new Crew(1, null);
  afterAll(() => crew.end());

  it("runs the same seed the same way, alone or after others, byte for byte", async () => {
    const after = await crew.run({ from: 1, count: 12, stopsAtFirst: false });
    const other = new Crew(2, null);
    try {
      const alone = await other.run({ from: 12, count: 1, stopsAtFirst: false });
      expect(alone.digests).toEqual(after.digests.slice(11));
      expect(await other.explain(12, true)).toEqual(await crew.explain(12, true));
    } finally {
      other.end();
    }
  });
});
