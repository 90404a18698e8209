import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";

/**
 * The test is that this file ends. Vitest waits for the answer to each log before it reports a file's end, and
 * @cloudflare/vitest-plugin before 1.5.0 sent an object's log only together with the runner's next message. After a file's last
 * test there is no such message, so a run stopped for good at the first file whose object logged then.
 */
it("a file ends when an object still logs after its last test", async () => {
  const object = env.CATALOGS.getByName("late-log");
  const logged = await runInDurableObject(object, (_, state) => {
    state.waitUntil(logFor(500));
    return true;
  });
  expect(logged).toBe(true);
});

async function logFor(ms: number): Promise<void> {
  for (let waited = 0; waited < ms; waited += 5) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    console.log("an object's log after the last test");
  }
}
