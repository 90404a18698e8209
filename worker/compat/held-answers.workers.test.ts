import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Context } from "hono";
import { afterAll, describe, expect, it } from "vitest";
import { SENT_IN_VAIN_MS } from "../catalog/core/held-marks.ts";
import { HeldAnswers } from "../catalog/held-answers.ts";
import { namespaceWith } from "../http/http.fixture.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import {
  befall,
  billed,
  call,
  drawnImage,
  jobsOf,
  newPrompt,
  post,
  postWithHangUp,
  SYNC_MODEL,
  upstream,
} from "./compat.fixture.ts";
import { holdEndsAtMs } from "./hold.ts";

const GENERATIONS = "/v1/images/generations";
const DASHSCOPE = "/api/v1/services/aigc/multimodal-generation/generation";

afterAll(async () => {
  await upstream.clearFaults();
  await upstream.release();
});

const openai = (prompt: string, more: object = {}) => ({ prompt, model: SYNC_MODEL, response_format: "url", ...more });
const dashscope = (prompt: string) => ({
  model: SYNC_MODEL,
  input: { messages: [{ role: "user", content: [{ text: prompt }] }] },
});

async function untilDone(id: string): Promise<void> {
  const answer = await jobStub(env, id).wait("local", null, 20_000);
  expect(answer.ok && answer.view.status).toBe("succeeded");
}

/** Reads the answer to its end, as a client does. */
async function taken(answer: Response): Promise<{ status: number; jobs: string[]; body: unknown }> {
  return { status: answer.status, jobs: jobsOf(answer), body: await answer.json() };
}

describe("a held answer", () => {
  it("ends after 280 s at most, and sooner with Prefer: wait", () => {
    const endsAfterMs = (prefer?: string) => {
      const request = new Request(
        `http://localhost${GENERATIONS}`,
        prefer === undefined ? {} : { headers: { prefer } },
      );
      return holdEndsAtMs(new Context(request), 1_000) - 1_000;
    };
    expect([endsAfterMs(), endsAfterMs("wait=7"), endsAfterMs("wait=999")]).toEqual([280_000, 7_000, 60_000]);
  });

  it("that ends before the job is done loses nothing: the same request takes the job", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(GENERATIONS, openai(prompt), { prefer: "wait=0" }));
    expect(first).toMatchObject({ status: 504, body: { error: { code: "job_still_running" } } });
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    expect(second).toMatchObject({ status: 200, jobs: first.jobs });
    expect(await billed(prompt)).toBe(1);
  });

  it("asks a client to repeat when the hold is over: 504 with Retry-After and x-should-retry", async () => {
    const prompt = newPrompt();
    const { headers } = await post(GENERATIONS, openai(prompt), { prefer: "wait=0" });
    expect([headers.get("retry-after"), headers.get("x-should-retry")]).toEqual(["1", "true"]);
    await upstream.release(prompt);
  });

  it("ends for its client only once the same request would take the job", async () => {
    const prompt = newPrompt();
    const slow = namespaceWith(env.CATALOGS, "settleHeld", async (stub, ...given) => {
      await scheduler.wait(300);
      await stub.settleHeld?.(...given);
    });
    const { answer } = postWithHangUp(GENERATIONS, openai(prompt), { CATALOGS: slow }, { prefer: "wait=0" });
    const first = await taken(await answer);
    expect(first.status).toBe(504);
    expect((await taken(await post(GENERATIONS, openai(prompt)))).jobs).toEqual(first.jobs);
    expect(await billed(prompt)).toBe(1);
  });

  it("is taken by the same request after a job ended while no request waited", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(DASHSCOPE, dashscope(prompt), { prefer: "wait=0" }));
    expect(first).toMatchObject({ status: 500, body: { code: "RequestTimeOut" } });
    await untilDone(first.jobs[0] ?? "");
    expect(await taken(await post(DASHSCOPE, dashscope(prompt)))).toMatchObject({ status: 200, jobs: first.jobs });
    expect(await billed(prompt)).toBe(1);
  });

  it("is undelivered when its client hangs up, and the next identical request takes it at once", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const first = postWithHangUp(GENERATIONS, openai(prompt));
    await upstream.untilHeld(prompt);
    await first.hangUp();
    await upstream.release(prompt);
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    expect(second.status).toBe(200);
    expect(await billed(prompt)).toBe(1);
  });

  it("is undelivered when its client hangs up while the catalog is notified that it is sent", async () => {
    const prompt = newPrompt();
    const isSending = Promise.withResolvers<void>();
    const goesOn = Promise.withResolvers<void>();
    const slow = namespaceWith(env.CATALOGS, "settleHeld", async (stub, ...given) => {
      await stub.settleHeld?.(...given);
      isSending.resolve();
      if ((given as unknown[])[2] === "delivered") await goesOn.promise;
    });
    const { answer, hangUp } = postWithHangUp(GENERATIONS, openai(prompt), { CATALOGS: slow });
    const first = await answer;
    const read = first.text().catch(() => "");
    await isSending.promise;
    const isOver = hangUp();
    // Without a mark, as a client that a person starts again.
    expect((await taken(await post(GENERATIONS, openai(prompt)))).jobs).toEqual(jobsOf(first));
    goesOn.resolve();
    await Promise.all([isOver, read]);
    expect(await billed(prompt)).toBe(1);
  });

  it("is undelivered when its body is not read to the end", async () => {
    const prompt = newPrompt();
    const first = await postWithHangUp(GENERATIONS, openai(prompt)).answer;
    expect(first.status).toBe(200);
    await first.body?.cancel();
    expect(await taken(await post(GENERATIONS, openai(prompt)))).toMatchObject({ status: 200, jobs: jobsOf(first) });
    expect(await billed(prompt)).toBe(1);
  });

  it("that was delivered is not taken again: a deliberate repeat is a new image", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(GENERATIONS, openai(prompt)));
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.jobs).not.toEqual(first.jobs);
    expect(await billed(prompt)).toBe(2);
  });

  it("of a failed job is delivered too: the same request again is a new try", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "error", code: "InvalidParameter" }, 1);
    const first = await taken(await post(GENERATIONS, openai(prompt)));
    expect(first.status).toBe(424);
    expect(await taken(await post(GENERATIONS, openai(prompt)))).toMatchObject({ status: 200 });
  });

  it("does not serve a parallel identical request, which gets its own image", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "slow", extraMs: 300 });
    const answers = await Promise.all([1, 2, 3].map(async () => taken(await post(GENERATIONS, openai(prompt)))));
    expect(new Set(answers.flatMap(({ jobs }) => jobs)).size).toBe(3);
    expect(await billed(prompt)).toBe(3);
  });

  it("is taken by a request with x-stainless-retry-count even while its first waiter seems alive", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const first = post(GENERATIONS, openai(prompt));
    await upstream.untilHeld(prompt);
    const second = post(GENERATIONS, openai(prompt), { "x-stainless-retry-count": "1" });
    await expect.poll(async () => (await upstream.held()).filter((held) => held.prompt === prompt).length).toBe(1);
    await upstream.release(prompt);
    const [one, two] = await Promise.all([taken(await first), taken(await second)]);
    expect(two.jobs).toEqual(one.jobs);
    expect(await billed(prompt)).toBe(1);
  });

  it("stays undelivered when an earlier waiter, which a repetition has replaced, gets the answer", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const first = post(GENERATIONS, openai(prompt));
    await upstream.untilHeld(prompt);
    const repeated = { "x-stainless-retry-count": "1", prefer: "wait=0" };
    const second = await taken(await post(GENERATIONS, openai(prompt), repeated));
    expect(second.status).toBe(504);
    await upstream.release(prompt);
    expect(await taken(await first)).toMatchObject({ status: 200, jobs: second.jobs });
    expect(await taken(await post(GENERATIONS, openai(prompt)))).toMatchObject({ status: 200, jobs: second.jobs });
    expect(await billed(prompt)).toBe(1);
  });

  it("is undelivered at once when its client's object has lost its memory", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const first = post(GENERATIONS, openai(prompt));
    await upstream.untilHeld(prompt);
    await evictDurableObject(env.CATALOGS.getByName("local"));
    const second = await taken(await post(GENERATIONS, openai(prompt), { prefer: "wait=0" }));
    await upstream.release(prompt);
    expect(await taken(await first)).toMatchObject({ status: 200, jobs: second.jobs });
    expect(await billed(prompt)).toBe(1);
  });

  it("is held again once its waiter reports to a client's object that has lost its memory", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    let heard = 0;
    const counting = namespaceWith(env.CATALOGS, "stillHeld", async (stub, ...given) => {
      const answer = await stub.stillHeld?.(...given);
      heard += 1;
      return answer;
    });
    const first = postWithHangUp(GENERATIONS, openai(prompt), { CATALOGS: counting });
    await upstream.untilHeld(prompt);
    await evictDurableObject(env.CATALOGS.getByName("local"));
    await expect.poll(() => heard).toBeGreaterThan(0);
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    await upstream.release(prompt);
    const one = await taken(await first.answer);
    expect([one.status, second.status]).toEqual([200, 200]);
    expect(second.jobs).not.toEqual(one.jobs);
    // What was paid depends on timing: the held call outlasts its budget of two seconds, and its job may try again.
    expect([one.jobs.length, second.jobs.length]).toEqual([1, 1]);
  });

  it("is no longer held once it is settled, even when a late report of its waiter arrives", async () => {
    const catalog = catalogStub(env, "late-message");
    const claim = { fingerprint: "same", key: "first", holder: "one", isRepeat: false };
    expect(await catalog.claimHeld(claim)).toBe("first");
    expect(await catalog.stillHeld("first", "one")).toBe(true);
    await catalog.settleHeld("first", "one", "undelivered");
    expect(await catalog.stillHeld("first", "one")).toBe(false);
    expect(await catalog.claimHeld({ ...claim, key: "second", holder: "two" })).toBe("first");
  });

  it("has no mark when its claim is carried out after its request has given up", async () => {
    const catalog = catalogStub(env, "late-claim");
    const claim = { fingerprint: "same", key: "first", holder: "one", isRepeat: false };
    expect(await catalog.claimHeld({ ...claim, untilMs: Date.now() + 5_000 })).toBe("first");
    expect(await catalog.claimHeld({ ...claim, key: "late", holder: "late", untilMs: Date.now() - 1 })).toBe("late");
    await catalog.settleHeld("first", "one", "delivered");
    // A marked repetition takes a mark before an answer that was sent a moment ago.
    expect(await catalog.claimHeld({ ...claim, key: "next", holder: "next", isRepeat: true })).toBe("first");
  });

  it("has one job when the claim of the request that was given up is carried out after the repetition's", async () => {
    const prompt = newPrompt();
    const isClaimed = Promise.withResolvers<void>();
    const goesOn = Promise.withResolvers<void>();
    const late = namespaceWith(env.CATALOGS, "claimHeld", async (stub, ...given) => {
      isClaimed.resolve();
      await goesOn.promise;
      return await stub.claimHeld?.(...given);
    });
    const first = postWithHangUp(GENERATIONS, openai(prompt), { CATALOGS: late });
    await isClaimed.promise;
    const isOver = first.hangUp();
    const hungUpAtMs = Date.now();
    await expect.poll(() => Date.now()).toBeGreaterThan(hungUpAtMs);
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const second = post(GENERATIONS, openai(prompt), { "x-stainless-retry-count": "1" });
    await upstream.untilHeld(prompt);
    goesOn.resolve();
    await isOver;
    const third = post(GENERATIONS, openai(prompt), { "x-stainless-retry-count": "2" });
    await upstream.release(prompt);
    const [two, three] = await Promise.all([taken(await second), taken(await third)]);
    expect(three).toMatchObject({ status: 200, jobs: two.jobs });
    expect(await billed(prompt)).toBe(1);
  });

  describe("of a request that its client has given up", () => {
    const asked = (name: string, receivedAtMs: number, isRepeat = true) => {
      return { fingerprint: "same", key: `key of ${name}`, holder: name, isRepeat, receivedAtMs };
    };
    async function withHeld(judge: (held: HeldAnswers, storage: DurableObjectStorage) => void) {
      await runInDurableObject(env.CATALOGS.getByName(crypto.randomUUID()), (_object, { storage }) => {
        judge(new HeldAnswers(storage), storage);
      });
    }

    it("is that of the later repetition, which keeps its mark", async () => {
      await withHeld((held) => {
        expect(held.claim(asked("second", 200), 200)).toBe("key of second");
        expect(held.claim(asked("first", 100, false), 201)).toBe("key of second");
        expect(held.stillWaits("key of second", "second", 202)).toBe(true);
        held.settle("key of second", "second", "undelivered", 203);
        expect(held.claim(asked("third", 300), 300)).toBe("key of second");
      });
    });

    it("is not taken over by an earlier repetition whose claim is carried out after a later one's", async () => {
      await withHeld((held) => {
        expect(held.claim(asked("first", 100, false), 100)).toBe("key of first");
        expect(held.claim(asked("third", 300), 300)).toBe("key of first");
        expect(held.claim(asked("second", 200), 301)).toBe("key of first");
        expect(held.stillWaits("key of first", "third", 302)).toBe(true);
      });
    });

    it("is the one that was sent to the later repetition", async () => {
      await withHeld((held) => {
        held.claim(asked("second", 200), 200);
        held.settle("key of second", "second", "delivered", 201);
        expect(held.claim(asked("first", 100, false), 202)).toBe("key of second");
        expect(held.claim(asked("new", 202, false), 203)).toBe("key of new");
      });
    });

    it("is known when the object has lost its memory, and in a table of an earlier version", async () => {
      await withHeld((held, storage) => {
        storage.sql.exec(`CREATE TABLE held_marks (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, holder TEXT NOT NULL,
          marked_at_ms INTEGER NOT NULL) WITHOUT ROWID`);
        storage.sql.exec("INSERT INTO held_marks VALUES ('key of first', 'same', 'first', 100)");
        expect(held.claim(asked("third", 300), 300)).toBe("key of first");
        const next = new HeldAnswers(storage);
        expect(next.claim(asked("second", 200), 301)).toBe("key of first");
        expect(next.stillWaits("key of first", "third", 302)).toBe(true);
      });
    });

    it("has no waiter when a duplicate of its claim is carried out after its client hung up", async () => {
      await withHeld((held) => {
        held.claim(asked("first", 100, false), 100);
        held.settle("key of first", "first", "undelivered", 101);
        expect(held.claim(asked("first", 100, false), 102)).toBe("key of first");
        // A repetition without a mark: nobody waits for the job.
        expect(held.claim(asked("second", 103, false), 103)).toBe("key of first");
      });
    });
  });

  it("that was sent to a dead connection is taken by a marked repetition", async () => {
    const prompt = newPrompt();
    const again = { "x-stainless-retry-count": "1" };
    const first = await taken(await post(GENERATIONS, openai(prompt)));
    const second = await taken(await post(GENERATIONS, openai(prompt), again));
    expect(second).toMatchObject({ status: 200, jobs: first.jobs });
    expect(await billed(prompt)).toBe(1);
  });

  describe("sent a moment ago", () => {
    const REPEATED = { fingerprint: "same", holder: "repeated", isRepeat: true };
    /** The held answers of a client to whom the answer of each key was sent at 0 ms. */
    async function afterSending(fingerprints: readonly string[], judge: (held: HeldAnswers) => void) {
      await runInDurableObject(env.CATALOGS.getByName(crypto.randomUUID()), (_object, { storage }) => {
        const held = new HeldAnswers(storage);
        for (const fingerprint of fingerprints) {
          const key = `sent ${fingerprint}`;
          held.claim({ fingerprint, key, holder: "first", isRepeat: false }, 0);
          held.settle(key, "first", "delivered", 0);
        }
        judge(held);
      });
    }

    it("is taken by a marked repetition within 30 seconds, and not later", async () => {
      await afterSending(["same"], (held) => {
        expect(held.claim({ ...REPEATED, key: "own" }, SENT_IN_VAIN_MS - 1)).toBe("sent same");
      });
      await afterSending(["same"], (held) => {
        expect(held.claim({ ...REPEATED, key: "own" }, SENT_IN_VAIN_MS)).toBe("own");
      });
    });

    it("is taken by a second marked repetition too, within 30 seconds of the first one's answer", async () => {
      for (const [afterMs, key] of [
        [SENT_IN_VAIN_MS - 1, "sent same"],
        [SENT_IN_VAIN_MS, "own"],
      ] as const) {
        await afterSending(["same"], (held) => {
          held.settle(held.claim({ ...REPEATED, key: "first" }, 5_000), REPEATED.holder, "delivered", 6_000);
          expect(held.claim({ ...REPEATED, holder: "second", key: "own" }, 6_000 + afterMs)).toBe(key);
        });
      }
    });

    it("is not taken by a request that is marked as no repetition, nor by one with another fingerprint", async () => {
      await afterSending(["same"], (held) => {
        expect(held.claim({ ...REPEATED, isRepeat: false, key: "own" }, 1)).toBe("own");
        expect(held.claim({ ...REPEATED, fingerprint: "other", key: "other" }, 1)).toBe("other");
      });
    });

    it("is remembered when the object has lost its memory, and deleted after a minute by a later claim", async () => {
      await runInDurableObject(env.CATALOGS.getByName(crypto.randomUUID()), (_object, { storage }) => {
        const keys = () => storage.sql.exec<{ key: string }>("SELECT key FROM held_marks ORDER BY key").toArray();
        const first = new HeldAnswers(storage);
        first.claim({ fingerprint: "same", key: "sent", holder: "first", isRepeat: false }, 0);
        first.settle("sent", "first", "delivered", 0);
        const next = new HeldAnswers(storage);
        expect(next.claim({ ...REPEATED, key: "own" }, 1)).toBe("sent");
        next.settle("sent", REPEATED.holder, "delivered", 2);
        next.claim({ ...REPEATED, fingerprint: "other", key: "early" }, 60_002);
        expect(keys().map(({ key }) => key)).toEqual(["early", "sent"]);
        next.claim({ ...REPEATED, fingerprint: "other", holder: "late", key: "late" }, 60_003);
        expect(keys().map(({ key }) => key)).toEqual(["early"]);
      });
    });

    it("stays sent when a duplicate of its request's claim is carried out late", async () => {
      await afterSending(["same"], (held) => {
        expect(held.claim({ fingerprint: "same", key: "sent same", holder: "first", isRepeat: false }, 1)).toBe(
          "sent same",
        );
        expect(held.claim({ ...REPEATED, isRepeat: false, key: "new" }, 2)).toBe("new");
      });
    });
  });

  it("belongs to one user of the client: the same prompt of another user is another image", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(GENERATIONS, openai(prompt, { user: "ann" }), { prefer: "wait=0" }));
    const other = await taken(await post(GENERATIONS, openai(prompt, { user: "bob" })));
    expect(other.status).toBe(200);
    expect(other.jobs).not.toEqual(first.jobs);
    const again = await taken(await post(GENERATIONS, openai(prompt, { user: "ann" })));
    expect(again).toMatchObject({ status: 200, jobs: first.jobs });
  });

  it("is settled even when the catalog fails at first: a deliberate repeat is a new image", async () => {
    const prompt = newPrompt();
    let calls = 0;
    const failing = namespaceWith(env.CATALOGS, "settleHeld", async (stub, ...given) => {
      calls += 1;
      if (calls === 1) throw new Error("the object was reset");
      await stub.settleHeld?.(...given);
    });
    const first = await taken(await postWithHangUp(GENERATIONS, openai(prompt), { CATALOGS: failing }).answer);
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    expect([first.status, second.status, calls]).toEqual([200, 200, 2]);
    expect(second.jobs).not.toEqual(first.jobs);
  });

  it("has its job's id even when the job is removed while the client waits: 410", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const first = post(GENERATIONS, openai(prompt));
    await upstream.untilHeld(prompt);
    const second = await taken(
      await post(GENERATIONS, openai(prompt), { "x-stainless-retry-count": "1", prefer: "wait=0" }),
    );
    await jobStub(env, second.jobs[0] ?? "").remove("local");
    expect(await taken(await first)).toMatchObject({
      status: 410,
      jobs: second.jobs,
      body: { error: { code: "job_gone" } },
    });
    await upstream.release(prompt);
  });

  it("belongs to one route: the same prompt through the other API is another image", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(GENERATIONS, openai(prompt), { prefer: "wait=0" }));
    const second = await taken(await post(DASHSCOPE, dashscope(prompt)));
    expect(second.status).toBe(200);
    expect(second.jobs).not.toEqual(first.jobs);
    await upstream.release(prompt);
  });

  it("is not used for a request with an Idempotency-Key, which decides alone", async () => {
    const prompt = newPrompt();
    const key = { "idempotency-key": crypto.randomUUID() };
    const first = await taken(await post(GENERATIONS, openai(prompt), key));
    const again = await post(GENERATIONS, openai(prompt), key);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const second = await taken(again);
    expect(second.jobs).toEqual(first.jobs);
    for (const n of [2, 3]) {
      const more = await taken(await post(GENERATIONS, openai(prompt, { n }), key));
      expect(more).toMatchObject({ status: 422, body: { error: { code: "idempotency_key_reused", param: "n" } } });
    }
    const other = await taken(await post(GENERATIONS, openai(`${prompt} other`), key));
    expect(other).toMatchObject({ status: 422, body: { error: { code: "idempotency_key_reused" } } });
    expect(await billed(prompt)).toBe(1);
  });

  it("of several jobs is taken with all of them", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(GENERATIONS, openai(prompt, { n: 2 }), { prefer: "wait=0" }));
    expect(first).toMatchObject({ status: 504 });
    expect(first.jobs).toHaveLength(2);
    expect(await taken(await post(GENERATIONS, openai(prompt, { n: 2 })))).toMatchObject({
      status: 200,
      jobs: first.jobs,
    });
    expect(await billed(prompt)).toBe(2);
  });

  it("is undelivered when its submission failed after the job was stored: the same request takes the job", async () => {
    const prompt = newPrompt();
    const stored: string[] = [];
    const lost = namespaceWith(env.JOBS, "submit", async (stub, ...given) => {
      const answer = (await stub.submit?.(...given)) as { ok: boolean; view: { id: string } };
      // On a busy machine the room of the submission may have ended; then it takes room again.
      if (!answer.ok) return answer;
      stored.push(answer.view.id);
      throw new Error("the answer is lost");
    });
    const { answer } = postWithHangUp(GENERATIONS, openai(prompt), { JOBS: lost });
    expect((await answer).status).toBe(500);
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    expect(second).toMatchObject({ status: 200, jobs: [...new Set(stored)] });
    expect(await billed(prompt)).toBe(1);
  });

  it("is undelivered when its job could not be stored: the same request makes the job", async () => {
    const prompt = newPrompt();
    const down = namespaceWith(env.JOBS, "submit", async () => {
      throw new Error("the object is down");
    });
    const { answer } = postWithHangUp(GENERATIONS, openai(prompt), { JOBS: down });
    expect((await answer).status).toBe(500);
    expect(await taken(await post(GENERATIONS, openai(prompt)))).toMatchObject({ status: 200 });
    expect(await billed(prompt)).toBe(1);
  });

  it("of a job that was removed is not taken: the same request is a new one", async () => {
    const prompt = newPrompt();
    const first = await taken(await post(GENERATIONS, openai(prompt), { prefer: "wait=0" }));
    await jobStub(env, first.jobs[0] ?? "").remove("local");
    const second = await taken(await post(GENERATIONS, openai(prompt)));
    expect(second.status).toBe(200);
    expect(second.jobs).not.toEqual(first.jobs);
    await upstream.release(prompt);
  });
});

describe("the image of an edit whose answer is taken over", () => {
  it("is not stored a second time, and belongs to the first job", async () => {
    const prompt = newPrompt();
    const image = await drawnImage();
    const form = () => {
      const body = new FormData();
      body.set("prompt", prompt);
      body.set("model", "qwen-image-edit-plus");
      body.set("image", new File([image], "a.png", { type: "image/png" }));
      body.set("response_format", "url");
      return body;
    };
    const send = async (prefer: string) =>
      taken(await call("/v1/images/edits", { method: "POST", body: form(), headers: { prefer } }));
    const inputs = async () => {
      const { objects, truncated } = await env.RESULTS.list({ prefix: "jobs/", limit: 1000 });
      expect(truncated).toBe(false);
      return objects.map(({ key }) => key).filter((key) => key.includes("/inputs/"));
    };
    const before = await inputs();
    const first = await send("wait=0");
    expect(first.status).toBe(504);
    expect(await send("wait=60")).toMatchObject({ status: 200, jobs: first.jobs });
    expect(await billed(prompt)).toBe(1);
    // The second upload is dropped after the answer.
    const added = async () => (await inputs()).filter((key) => !before.includes(key));
    await expect.poll(added, { timeout: 60_000 }).toHaveLength(1);
    expect((await added())[0]).toMatch(`jobs/${first.jobs[0]}/inputs/`);
  });
});
