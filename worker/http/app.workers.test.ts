import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Health } from "../../schemas/limits.ts";
import { Problem, ProblemCode } from "../../schemas/problem.ts";
import { app } from "./app.ts";
import { namespaceWith, send } from "./http.fixture.ts";

const ORIGIN = "http://localhost:8787";

function call(path: string, init?: RequestInit) {
  return exports.default.fetch(`${ORIGIN}${path}`, init);
}

async function problemOf(answer: Response) {
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  const problem = Problem.parse(await answer.json());
  expect(problem.status).toBe(answer.status);
  expect(problem.requestId).toBe(answer.headers.get("x-request-id"));
  expect(problem.type).toBe(`${ORIGIN}/api/docs#problem-${problem.code}`);
  return problem;
}

describe("health", () => {
  it("is ok and names the upstream", async () => {
    const answer = await call("/api/health");
    expect(answer.status).toBe(200);
    const health = Health.parse(await answer.json());
    expect(health.status).toBe("ok");
    expect(health.upstream).toEqual({ region: "sg", host: new URL(env.QWEN_BASE_URL).host, keyConfigured: true });
    expect(health.lanes.map((lane) => lane.model).slice(0, 2)).toEqual(["qwen-image-max", "qwen-image-edit-max"]);
  });

  it.each([
    [{ QWEN_REGION: "mars" }, "QWEN_REGION", "mars"],
    // No hexadecimal digits: a request id would contain them by chance.
    [{ QWEN_TIMEOUT_MS: "soon" }, "QWEN_TIMEOUT_MS", "soon"],
    [{ QWEN_API_KEY: "" }, "QWEN_API_KEY", undefined],
    [{ QWEN_API_KEY: "sk-with a-space" }, "QWEN_API_KEY", "sk-with"],
  ])("with %o names the wrong variable and never its value, as every call does", async (wrong, name, value) => {
    const misconfigured = { ...env, ...wrong };
    const health = await app.request(`${ORIGIN}/api/health`, {}, misconfigured, createExecutionContext());
    expect(health.status).toBe(503);
    const body = Health.parse(await health.clone().json());
    expect(body.status).toBe("misconfigured");
    expect(body.problems?.map((problem) => problem.path)).toEqual([name]);
    expect(body.upstream.keyConfigured).toBe(name !== "QWEN_API_KEY");
    const other = await app.request(`${ORIGIN}/api/jobs`, {}, misconfigured, createExecutionContext());
    const problem = await problemOf(other.clone());
    expect(problem.code).toBe("misconfigured");
    expect(problem.detail).toContain(name);
    if (value !== undefined) expect((await health.text()) + (await other.text())).not.toContain(value);
  });
});

describe("every answer", () => {
  it("has the client's request id when it is valid, else one of ours", async () => {
    const sane = await call("/api/health", { headers: { "x-request-id": "trace-1234.a:b" } });
    expect(sane.headers.get("x-request-id")).toBe("trace-1234.a:b");
    for (const given of ["", "a b", "<script>", "x".repeat(129)]) {
      const answer = await call("/api/nowhere", { headers: { "x-request-id": given } });
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it("is not stored, sniffed, framed or given scripts", async () => {
    for (const path of ["/api/health", "/api/nowhere"]) {
      const { headers } = await call(path);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    }
  });

  it("is indented for people, and compact for clients that ask for application/json", async () => {
    expect(await (await call("/api/health")).text()).toMatch(/^\{\n {2}"status": "ok",\n/);
    expect(await (await call("/api/health", { headers: { accept: "application/json" } })).text()).toMatch(
      /^\{"status":"ok",/,
    );
    expect(await (await call("/api/no")).text()).toContain('\n  "code": "not_found"');
    expect(await (await call("/api/no", { headers: { accept: "application/json" } })).text()).toContain(
      '"code":"not_found"',
    );
  });
});

describe("routing", () => {
  it("answers an unknown path with 404", async () => {
    expect((await problemOf(await call("/api/nowhere"))).code).toBe("not_found");
    expect((await problemOf(await call("/nowhere", { method: "POST" }))).code).toBe("not_found");
  });

  it("answers a known path with the wrong method with 405 and Allow", async () => {
    const answer = await call("/api/health", { method: "DELETE" });
    expect((await problemOf(answer)).code).toBe("method_not_allowed");
    expect(answer.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  });

  it("answers OPTIONS with Allow", async () => {
    const answer = await call("/api/health", { method: "OPTIONS" });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    expect((await call("/api/nowhere", { method: "OPTIONS" })).status).toBe(404);
  });

  it("answers HEAD like GET, without a body", async () => {
    const answer = await call("/api/health", { method: "HEAD" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(await answer.text()).toBe("");
  });

  it("redirects a path with trailing slashes to the right one, on this host", async () => {
    const answer = await call("/api/health/?a=b", { redirect: "manual" });
    expect(answer.status).toBe(308);
    expect(answer.headers.get("location")).toBe("/api/health?a=b");
    expect((await call("//evil.example/", { redirect: "manual" })).status).toBe(404);
  });

  it.each(["%0A", "%0D%0Aset-cookie:a=b", "%C4%80", "%00", "%F0%9F%98%80"])(
    "redirects a path with %s and a trailing slash as it was written",
    async (step) => {
      const answer = await call(`/api/jobs/${step}/`, { redirect: "manual" });
      expect(answer.status).toBe(308);
      expect(answer.headers.get("location")).toBe(`/api/jobs/${step}`);
    },
  );

  it("refuses a request that is not acceptable, too long or too large", async () => {
    expect((await problemOf(await call("/api/health", { headers: { accept: "image/png" } }))).code).toBe(
      "not_acceptable",
    );
    expect((await problemOf(await call(`/api/health?${"a".repeat(9000)}`))).code).toBe("uri_too_long");
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`x-filler-${n}`, "a".repeat(1000)]));
    expect((await problemOf(await call("/api/health", { headers: many }))).code).toBe("header_fields_too_large");
  });
});

describe("the query of every route", () => {
  interface Operation {
    readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  }

  async function operations() {
    const document = (await (await call("/api/openapi.json")).json()) as {
      paths: Record<string, Record<string, Operation>>;
    };
    return Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, { parameters = [] }]) => ({
        method: method.toUpperCase(),
        path: path.replace("{id}", "job_V1StGXR8_Z5jdHi6B-myT").replace("{index}", "0"),
        known: parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name),
      })),
    );
  }

  it("is refused by name with a key that is not documented", async () => {
    for (const { method, path, known } of await operations()) {
      const answer = await call(`${path}?nonsense=1&foo%2Fbar=2&nonsense=3`, { method });
      const { code, errors } = await problemOf(answer);
      expect(code, `${method} ${path}`).toBe("invalid_query");
      const words = known.length === 0 ? "this route takes none" : `known are ${known.join(", ")}`;
      const message = `is not a key of this query (${words})`;
      expect(errors, `${method} ${path}`).toEqual([
        { path: "nonsense", message },
        { path: "foo/bar", message },
      ]);
    }
  });

  it("is accepted with any documented key", async () => {
    const values: Record<string, string> = {
      status: "queued",
      workflow: "image-from-text",
      before: "2026-11-23T12:00:00Z",
      pinned: "true",
      end: "1",
      signature: "x",
      w: "320",
      format: "webp",
      from: "2026-11-01",
      to: "2026-11-30",
      bucket: "month",
    };
    for (const { method, path, known } of await operations()) {
      for (const name of known.filter((key) => key !== "client" && key !== "cursor")) {
        const answer = await call(`${path}?${name}=${values[name] ?? 1}`, { method, headers: { accept: "*/*" } });
        const isJson = answer.headers.get("content-type")?.includes("json") === true;
        const text = isJson ? await answer.text() : await answer.body?.cancel();
        expect(String(text), `${method} ${path} ${name}`).not.toContain("invalid_query");
      }
    }
  });

  it("is refused with one key twice, except for lists", async () => {
    const { errors } = await problemOf(await call("/api/jobs?limit=1&limit=2&status=queued&status=failed&limt=3"));
    expect(errors).toEqual([
      { path: "limit", message: "is given twice" },
      {
        path: "limt",
        message: expect.stringMatching(/^is not a key of this query; did you mean limit\? \(known are /),
      },
    ]);
    expect((await call("/api/jobs?status=queued&status=failed")).status).toBe(200);
  });
});

describe("the API's own description", () => {
  it("documents every route, and no other", async () => {
    const document = (await (await call("/api/openapi.json")).json()) as { paths: Record<string, object> };
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const routed = app.routes
      .filter((route) => route.method !== "ALL")
      .map((route) => `${route.method} ${route.path.replace(/:(\w+)/g, "{$1}")}`);
    expect(documented.toSorted()).toEqual([...new Set(routed)].toSorted());
  });

  it("is a page with only its own script, and with an anchor for every problem", async () => {
    const answer = await call("/api/docs", { headers: { accept: "text/html" } });
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'sha256-[A-Za-z0-9+/=]{44}'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; /,
    );
    const html = await answer.text();
    expect(html).not.toMatch(/<script[^>]|<link|<img|style="|onload|https?:\/\/(?!darkroom\.example|example\.com)/);
    for (const code of ProblemCode.options) expect(html).toContain(`id="problem-${code}"`);
    for (const tag of ["style", "script"]) {
      const text = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(html)?.[1] ?? "";
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toBase64();
      expect(policy).toContain(hash);
    }
  });

  it("shows each call for a shell, and by the typed client where it has one", async () => {
    const html = await (await call("/api/docs")).text();
    for (const id of ["listJobs", "shareJob", "submitImageFromText"]) {
      const section = new RegExp(`id="${id}">[\\s\\S]*?</section>`).exec(html)?.[0] ?? "";
      expect(section).toContain("curl -sS");
      expect(section).toContain("await darkroom.");
    }
  });

  it("has only links in the page that lead somewhere", async () => {
    const html = await (await call("/api/docs")).text();
    const ids = new Set([...html.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]));
    const targets = [...html.matchAll(/href="#([^"]+)"/g)].map((match) => match[1]);
    expect(targets.length).toBeGreaterThan(20);
    expect(targets.filter((target) => !ids.has(target))).toEqual([]);
  });
});

describe("the log line of a request that failed", () => {
  it("has its id and the trace id of its traceparent", async () => {
    const written = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => written.mockRestore());
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, "x-request-id": "the-request" };
    const JOBS = namespaceWith(env.JOBS, "show", async () => {
      throw new Error("a bug");
    });
    const { answer } = send(new Request(`${ORIGIN}/api/jobs/job_V1StGXR8_Z5jdHi6B-myT`, { headers }), { JOBS });
    expect((await answer).status).toBe(500);
    expect(written).toHaveBeenCalledWith(
      expect.objectContaining({ event: "unexpected_error", requestId: "the-request", traceId }),
    );
  });
});
