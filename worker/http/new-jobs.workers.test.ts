import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { Job, JobList } from "../../schemas/job.ts";
import type { CatalogEntry } from "../catalog/contract.ts";
import { app } from "./app.ts";
import { namespaceWith, send } from "./http.fixture.ts";

const ORIGIN = "http://localhost:8787";

const ALL = { status: null, workflow: null, limit: 100, cursor: null } as const;

/** Catalogs whose `recordAll` fails `failures` times. `held`: the list's jobs at the last failure. */
function failingCatalogs(failures: number) {
  let left = failures;
  let held: string[] | null = null;
  const catalogs = new Proxy(env.CATALOGS, {
    get: (target, name: keyof typeof env.CATALOGS) =>
      name !== "getByName"
        ? target[name]
        : (client: string) => {
            const stub = target.getByName(client);
            return {
              reserve: (wanted: number, limit: number) => stub.reserve(wanted, limit),
              recordAll: async (entries: Parameters<typeof stub.recordAll>[0]) => {
                if (left > 0) {
                  left -= 1;
                  const answer = await stub.list(ALL);
                  held = answer.ok ? answer.entries.map(({ id }) => id) : [];
                  throw new Error("Durable Object is overloaded.");
                }
                await stub.recordAll(entries);
              },
            };
          },
  });
  return { vars: { ...env, CATALOGS: catalogs }, left: () => left, held: () => held };
}

async function listed(): Promise<string[]> {
  const answer = await app.fetch(new Request(`${ORIGIN}/api/jobs`), env, createExecutionContext());
  return JobList.parse(await answer.json()).jobs.map(({ id }) => id);
}

/** Submits until a job waits in line and has nothing to report itself, then waits for all work beside the answers. */
async function waitingJob(vars: object): Promise<string> {
  const contexts: ExecutionContext[] = [];
  for (;;) {
    const context = createExecutionContext();
    // The first request's call includes the entries of the others.
    contexts.push(context);
    const request = new Request(`${ORIGIN}/api/workflows/image-from-text`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      // Two starts a minute.
      body: JSON.stringify({ prompt: "a", model: "qwen-image-max" }),
    });
    const { id } = Job.parse(await (await app.fetch(request, vars as Env, context)).json());
    const shown = await app.fetch(new Request(`${ORIGIN}/api/jobs/${id}`), env, createExecutionContext());
    const { status } = Job.parse(await shown.json());
    if (status !== "queued") continue;
    for (const each of contexts) await waitOnExecutionContext(each);
    return id;
  }
}

it("a list that is not notified of a waiting job at first is notified a little later", async () => {
  const catalogs = failingCatalogs(2);
  const id = await waitingJob(catalogs.vars);
  expect(catalogs.left()).toBe(0);
  expect(catalogs.held()).not.toContain(id);
  expect(await listed()).toContain(id);
});

it("a list that the submitter cannot notify at all is notified by the jobs themselves", async () => {
  const catalogs = failingCatalogs(Number.POSITIVE_INFINITY);
  const id = await waitingJob(catalogs.vars);
  expect(catalogs.held()).not.toContain(id);
  await expect.poll(listed).toContain(id);
});

it("lists a waiting job whose submitter died before it notified the catalog, once the submission is repeated", async () => {
  const key = crypto.randomUUID();
  const submit = (vars: object) =>
    app.fetch(
      new Request(`${ORIGIN}/api/workflows/image-from-text`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify({ prompt: "a", model: "qwen-image-max" }),
      }),
      vars as Env,
      createExecutionContext(),
    );
  // The lane's quota of two starts a minute is used up.
  await waitingJob(env);
  const asked = Promise.withResolvers<void>();
  const dying = new Proxy(env.CATALOGS, {
    get: (target, name: keyof typeof env.CATALOGS) =>
      name !== "getByName"
        ? target[name]
        : (client: string) => ({
            reserve: (...args: [number, number]) => target.getByName(client).reserve(...args),
            recordAll: () => {
              asked.resolve();
              return new Promise(() => undefined);
            },
          }),
  });
  const { id } = Job.parse(await (await submit({ ...env, CATALOGS: dying })).json());
  await asked.promise;
  expect(await listed()).not.toContain(id);
  expect(Job.parse(await (await submit(env)).json()).id).toBe(id);
  await expect.poll(listed).toContain(id);
});

it("the Worker notifies the catalog of a retried job", async () => {
  const id = await waitingJob(env);
  const post = (action: string) => new Request(`${ORIGIN}/api/jobs/${id}/${action}`, { method: "POST" });
  await app.fetch(post("cancel"), env, createExecutionContext());
  const notified: CatalogEntry[] = [];
  const CATALOGS = namespaceWith(env.CATALOGS, "recordAll", async (_stub, ...[entries]: [CatalogEntry[]]) => {
    notified.push(...entries);
  });
  const { answer, settled } = send(post("retry"), { CATALOGS });
  const { seq } = Job.parse(await (await answer).json());
  await settled();
  expect(notified).toMatchObject([{ id, status: "queued", done: false, seq, attempts: 0 }]);
});
