import type { Job } from "../../schemas/job.ts";
import { inPool } from "../support/pool.ts";
import type { Lab } from "./job-rounds.ts";

const JSON_TYPE = { "content-type": "application/json" };

async function readJob({ recorder, secrets, control }: Lab, job: Job, index: number): Promise<void> {
  const { id, links, output, status } = job;
  const token = [secrets.tokens.app, secrets.tokens.appRotated, secrets.admin][index % 3] ?? secrets.admin;
  for (const accept of ["application/json", "text/plain", "text/html"]) {
    const { headers } = await recorder.ask(`/api/jobs/${id}`, { token, headers: { accept } });
    const etag = headers.get("etag");
    if (etag !== null) await recorder.ask(`/api/jobs/${id}`, { token, headers: { accept, "if-none-match": etag } });
  }
  await recorder.ask(`/api/jobs/${id}/events`, { token, headers: { "x-request-id": control } });
  await recorder.ask(`${links.events}x`);
  for (const { url } of output?.images ?? []) {
    await recorder.ask(url);
    await recorder.ask(url, { method: "HEAD" });
    for (const range of ["bytes=0-99", "bytes=999999999-"]) await recorder.ask(url, { headers: { range } });
    await recorder.ask(url.replace(/.$/, ""));
  }
  await recorder.ask(`/api/jobs/${id}`, { token: secrets.tokens.other });
  await recorder.ask(`/api/jobs/${id}/cancel`, { method: "POST", token });
  if (status === "failed" && index % 8 === 0) await recorder.ask(`/api/jobs/${id}/retry`, { method: "POST", token });
  if (index % 5 === 0) {
    await recorder.ask(`/api/jobs/${id}`, { method: "DELETE", token });
    await recorder.ask(`/api/jobs/${id}`, { token });
  }
}

/** Reads everything of each job, in every form, and makes every change to it; some jobs are removed. */
export async function readJobs(lab: Lab, jobs: readonly Job[]): Promise<void> {
  await inPool(4, jobs, (job, index) => readJob(lab, job, index));
}

/** Sends nearly right credentials in every place where somebody might put them. No answer may show them. */
export async function askWithWrongCredentials({ recorder, secrets }: Lab): Promise<void> {
  const { app } = secrets.tokens;
  const basic = Buffer.from(`app:${app}`).toString("base64");
  const hash = JSON.parse(secrets.vars.CLIENT_TOKENS ?? "{}") as { readonly other: string };
  const wrong = [
    `Bearer ${app.slice(0, -1)}`,
    `Bearer ${app}x`,
    `Bearer ${app} ${app}`,
    `Token ${app}`,
    app,
    `Basic ${basic}`,
  ];
  wrong.push(`Bearer ${hash.other}`, `Bearer ${secrets.signing.replaceAll(/[^!-~]/g, "")}`, `Bearer ${secrets.apiKey}`);
  for (const authorization of wrong) {
    for (const path of ["/api/jobs", "/api/limits", "/api/events"])
      await recorder.ask(path, { headers: { authorization } });
    await recorder.ask("/api/session", { method: "POST", headers: { authorization } });
    await (await recorder.watch("/api/events", { authorization })).closed;
  }
  for (const cookie of [`darkroom=${app}`, `__Host-darkroom=${app}.${app}`, `darkroom=${basic}`]) {
    await recorder.ask("/api/jobs", { headers: { cookie } });
  }
  const bodies = [JSON.stringify({ token: app }), `{"token": "${app}`, app, `token=${app}`];
  for (const body of bodies) {
    for (const path of ["/api/session", "/api/workflows/image-from-text"]) {
      await recorder.ask(path, { method: "POST", headers: JSON_TYPE, body });
      await recorder.ask(path, { method: "POST", headers: { "content-type": "text/plain" }, body });
      // A mistake of a client that is signed in: the body is not JSON, and the answer does not quote the text around the error.
      await recorder.ask(path, { method: "POST", token: secrets.tokens.other, headers: JSON_TYPE, body });
    }
  }
  await recorder.ask("/api/jobs", { headers: { authorization: `Bearer ${app}`, origin: "https://evil.example" } });
  await recorder.raw(`GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${app}\x01\r\n\r\n`);
  await recorder.raw(`GET /api/jobs HTTP/9.9\r\nAuthorization: Bearer ${app}\r\n\r\n`);
}

/** Acts as a browser: signs in, reads, writes from its own page and from others', signs out. */
export async function askAsBrowser(lab: Lab, job: Job): Promise<void> {
  const { recorder, secrets } = lab;
  for (const token of [secrets.tokens.app, secrets.admin]) {
    const signedIn = await recorder.ask("/api/session", {
      method: "POST",
      token,
      headers: { origin: recorder.baseUrl },
    });
    const cookie = (signedIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    // The signed text is also kept in decoded form.
    recorder.keep(
      "answer",
      "the session, decoded",
      Buffer.from(cookie.split("=")[1]?.split(".")[0] ?? "", "base64url"),
    );
    for (const origin of [recorder.baseUrl, "https://app.example", "https://evil.example"]) {
      const headers = { cookie, origin };
      await recorder.ask("/api/jobs?limit=2", { headers });
      await recorder.ask(`/api/jobs/${job.id}/cancel`, { method: "POST", headers });
      await recorder.ask("/api/jobs", {
        method: "OPTIONS",
        headers: { ...headers, "access-control-request-method": "GET" },
      });
      await (await recorder.watch("/api/events?client=app", headers, 1)).closed;
    }
    await recorder.ask("/api/session", { method: "DELETE", headers: { cookie, origin: recorder.baseUrl } });
  }
}

/** Everything without a job: lists, documents, the page, refused submissions, unknown and odd addresses. */
export async function askTheRest({ recorder, secrets }: Lab): Promise<void> {
  const token = secrets.tokens.app;
  const paths = [
    "/api/health",
    "/api/limits",
    "/api/openapi.json",
    "/api/docs",
    "/api/jobs",
    "/api/jobs?limit=3",
    "/api/nowhere",
  ];
  paths.push(
    "/api/jobs?status=no",
    "/api/jobs?cursor=!",
    "/api/jobs?client=other",
    "/api/jobs/job_",
    "/",
    "/jobs/x",
    "/api/jobs/%00",
  );
  for (const path of paths) {
    for (const asked of [{}, { token }, { token: secrets.admin }, { headers: { accept: "text/html" } }]) {
      await recorder.ask(path, asked);
    }
    await recorder.ask(path, { method: "PUT", token });
  }
  const refused: object[] = [
    {},
    { prompt: "" },
    { prompt: "x", color: "red" },
    { prompt: "x", size: "1*1" },
    { prompt: 7 },
    { prompt: "x", n: 99 },
  ];
  refused.push({ prompt: "x", images: ["https://user:pass@example.com/a.png", "file:///etc/passwd"] });
  for (const body of refused) {
    for (const workflow of ["image-from-text", "image-from-reference"]) {
      const asked = {
        method: "POST",
        token,
        headers: { ...JSON_TYPE, "idempotency-key": "same" },
        body: JSON.stringify(body),
      };
      await recorder.ask(`/api/workflows/${workflow}`, asked);
    }
  }
  for (const prompt of ["first", "first", "second"]) {
    const headers = { ...JSON_TYPE, "idempotency-key": '"twice"' };
    await recorder.ask("/api/workflows/image-from-text", {
      method: "POST",
      token,
      headers,
      body: JSON.stringify({ prompt }),
    });
  }
}
