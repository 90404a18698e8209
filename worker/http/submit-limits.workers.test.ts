import { env, exports } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { GRANT_MS } from "../catalog/core/reservations.ts";
import { namespaceWith, send } from "./http.fixture.ts";
import { forgetReserved } from "./submit-limits.ts";

afterEach(() => {
  vi.useRealTimers();
});

const submission = (prompt: string, headers: Readonly<Record<string, string>> = {}) =>
  new Request("http://localhost:8787/api/workflows/image-from-text", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    // With two starts a minute, these jobs stay unfinished.
    body: JSON.stringify({ prompt, model: "qwen-image-max" }),
  });

async function submit(prompt: string): Promise<number> {
  const answer = await exports.default.fetch(submission(prompt));
  await answer.body?.cancel();
  return answer.status;
}

const burst = (count: number) => Promise.all(Array.from({ length: count }, (_, n) => submit(`burst ${n}`)));

it("a burst reserves little more than it uses, and submissions succeed again after it", async () => {
  expect(await burst(40)).toEqual(Array(40).fill(202));
  // The reservations can no longer be used by now, but they still count.
  vi.setSystemTime(Date.now() + GRANT_MS);
  expect(await burst(40)).toEqual(Array(40).fill(202));
  const later: number[] = [];
  for (let n = 0; n < 10; n++) later.push(await submit(`later ${n}`));
  expect(later).toEqual(Array(10).fill(202));
});

it("a reservation that ends before its answer arrives is not used: the submission asks for another", async () => {
  forgetReserved("local");
  let asked = 0;
  const CATALOGS = namespaceWith(env.CATALOGS, "reserve", async (stub, ...given) => {
    const answer = await stub.reserve?.(...given);
    asked += 1;
    if (asked === 1) vi.setSystemTime(Date.now() + GRANT_MS);
    return answer;
  });
  const { answer, settled } = send(submission("late"), { CATALOGS });
  expect((await answer).status).toBe(202);
  await settled();
  expect(asked).toBe(2);
});

it("a submission that is stored after its room has ended takes room again", async () => {
  forgetReserved("local");
  const calls: string[] = [];
  const CATALOGS = namespaceWith(env.CATALOGS, "reserve", (stub, ...given) => {
    calls.push("reserve");
    return stub.reserve?.(...given) ?? Promise.reject();
  });
  const JOBS = namespaceWith(env.JOBS, "submit", async (stub, ...given) => {
    calls.push("submit");
    if (calls.length > 2) return await stub.submit?.(...given);
    vi.setSystemTime(Date.now() + GRANT_MS + 1);
    throw new Error("the object has not answered");
  });
  const { answer, settled } = send(submission("slow"), { CATALOGS, JOBS });
  expect((await answer).status).toBe(202);
  await settled();
  expect(calls).toEqual(["reserve", "submit", "submit", "reserve", "submit"]);
});

it("a submission whose room ends each time before it is stored is refused, and no job is stored", async () => {
  forgetReserved("local");
  const answers: unknown[] = [];
  const JOBS = namespaceWith(env.JOBS, "submit", async (stub, ...given) => {
    vi.setSystemTime(Date.now() + GRANT_MS + 1);
    const answer = await stub.submit?.(...given);
    answers.push(answer);
    return answer;
  });
  const { answer, settled } = send(submission("always late"), { JOBS });
  const refused = await answer;
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("1");
  await settled();
  expect(answers).toEqual(Array(3).fill({ ok: false, code: "grant_expired" }));
});

it("a retry that is carried out after its room has ended takes room again", async () => {
  forgetReserved("local");
  const { id } = (await (await exports.default.fetch(submission("retried"))).json()) as { id: string };
  const url = (action: string) => `http://localhost:8787/api/jobs/${id}/${action}`;
  expect((await exports.default.fetch(new Request(url("cancel"), { method: "POST" }))).status).toBe(200);
  const answers: unknown[] = [];
  const JOBS = namespaceWith(env.JOBS, "retry", async (stub, ...given) => {
    if (answers.length === 0) vi.setSystemTime(Date.now() + GRANT_MS + 1);
    const answer = (await stub.retry?.(...given)) as { ok: boolean; code?: string };
    answers.push(answer.code ?? answer.ok);
    return answer;
  });
  const { answer, settled } = send(new Request(url("retry"), { method: "POST" }), { JOBS });
  expect((await answer).status).toBe(200);
  await settled();
  expect(answers).toEqual(["grant_expired", true]);
});

it("a repetition at the limit makes no job when its key's job is removed meanwhile", async () => {
  const keyed = () => submission("removed meanwhile", { "idempotency-key": "removed meanwhile" });
  expect((await exports.default.fetch(keyed())).status).toBe(202);
  expect(await submit("still unfinished")).toBe(202);
  forgetReserved("local");
  const answers: unknown[] = [];
  const JOBS = namespaceWith(env.JOBS, "submit", async (stub, ...given) => {
    if (answers.length === 0) await stub.remove?.(...([null] as never[]));
    const answer = (await stub.submit?.(...given)) as { code?: string };
    answers.push(answer.code);
    return answer;
  });
  const { answer, settled } = send(keyed(), { JOBS, MAX_PENDING_JOBS: "1" });
  const refused = await answer;
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({ code: "too_many_pending_jobs" });
  await settled();
  expect(answers).toEqual(["job_gone", "grant_expired"]);
});

it("keeps the room of a retry whose call fails after it was carried out", async () => {
  const { id } = (await (await exports.default.fetch(submission("retried unheard"))).json()) as { id: string };
  const url = (action: string) => `http://localhost:8787/api/jobs/${id}/${action}`;
  expect((await exports.default.fetch(new Request(url("cancel"), { method: "POST" }))).status).toBe(200);
  forgetReserved("local");
  let isFull = false;
  // Room for the retry alone; afterwards there is none.
  const CATALOGS = namespaceWith(env.CATALOGS, "reserve", (stub, _wanted, limit, least) =>
    Promise.resolve(stub.reserve?.(...([least, isFull ? 0 : limit, least] as never[]))),
  );
  const JOBS = namespaceWith(env.JOBS, "retry", async (stub, ...given) => {
    expect(await stub.retry?.(...given)).toMatchObject({ ok: true });
    isFull = true;
    throw new Error("the answer is lost");
  });
  const retried = send(new Request(url("retry"), { method: "POST" }), { CATALOGS, JOBS });
  expect((await retried.answer).status).toBeGreaterThanOrEqual(500);
  const next = send(submission("no room is left"), { CATALOGS });
  expect((await next.answer).status).toBe(429);
  await Promise.all([retried.settled(), next.settled()]);
});
