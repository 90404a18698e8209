import { describe, expect, it } from "vitest";
import { readAnswers } from "./answer-bytes.ts";
import type { Answer } from "./attack.ts";
import { type Asked, finding } from "./judge.ts";

const asked: Asked = { method: "GET", isApi: true, noHttp: null, operation: null, door: "proxy" };
const problem = {
  type: "http://localhost/api/docs#problem-not_found",
  title: "Not found",
  status: 404,
  detail: "There is nothing here.",
  code: "not_found",
  requestId: "one",
};

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const ours = { "x-request-id": "one", "content-type": "application/problem+json" };
  return { status, headers: { ...ours, ...headers }, body: Buffer.from(text) };
}

function foreign(status: number, body: string): Answer {
  return { status, headers: {}, body: Buffer.from(body) };
}

describe("an answer is found to be wrong", () => {
  it.each<[string, Answer, Partial<Asked>]>([
    ["when it is a 500 of ours", answer(500, { ...problem, status: 500 }), {}],
    ["when it is a 503 of ours", answer(503, { ...problem, status: 503 }), {}],
    ["when a refusal is no JSON", answer(404, "no"), {}],
    ["when a refusal is of another type", answer(404, problem, { "content-type": "application/json" }), {}],
    ["when a refusal lacks its code", answer(404, { ...problem, code: undefined }), {}],
    ["when a refusal says another status", answer(400, problem), {}],
    ["when a refusal names another request", answer(404, { ...problem, requestId: "two" }), {}],
    ["when a refusal has the title of another", answer(404, { ...problem, title: "No" }), {}],
    ["when it is not ours, for a request that is HTTP", foreign(404, "no"), {}],
    ["when the runtime fails for a request that is HTTP", foreign(500, "Internal Server Error"), {}],
    [
      "when the runtime fails for no reason that is known",
      foreign(500, "Internal Server Error"),
      { noHttp: "framing" },
    ],
    ["when the runtime fails in a way that is not known", foreign(500, "oops"), { noHttp: "syntax" }],
    [
      "when the Worker's own door loses the connection",
      foreign(500, "Error: Network connection lost."),
      { noHttp: "framing", door: "worker" },
    ],
    [
      "when its operation is not documented to give it",
      answer(404, problem),
      { operation: { operationId: "x", responses: { "200": {} } } },
    ],
  ])("%s", (_, given, how) => {
    expect(finding(given, { ...asked, ...how })).not.toBeNull();
  });

  it("and never when it is correct", () => {
    expect(finding(answer(404, problem), asked)).toBeNull();
    expect(finding(answer(200, {}), asked)).toBeNull();
    expect(finding(foreign(200, "<html>"), { ...asked, isApi: false })).toBeNull();
    expect(finding(foreign(400, "no"), { ...asked, noHttp: "syntax" })).toBeNull();
    const lost = "Error: Network connection lost.\n    at async Object.fetch (file:///miniflare/entry.worker.js:1:2)";
    expect(finding(foreign(500, lost), { ...asked, noHttp: "framing" })).toBeNull();
  });
});

describe("answers are read out of bytes", () => {
  const head = "HTTP/1.1 200 OK\r\n";
  it("one after the other, with any way of marking their ends", () => {
    const bytes = `HTTP/1.1 100 Continue\r\n\r\n${head}Content-Length: 2\r\n\r\nab${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n${head}\r\nto the end`;
    const { answers, rest } = readAnswers(Buffer.from(bytes));
    expect(answers.map(({ status, body }) => [status, body.toString()])).toEqual([
      [200, "ab"],
      [200, "abc"],
      [204, ""],
      [200, "to the end"],
    ]);
    expect(rest).toHaveLength(0);
  });

  it.each([
    "what is this",
    `${head}Content-Length: 5\r\n\r\nab`,
    `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nab`,
    "HTTP/1.1 200",
  ])("and bytes that are no whole answer are left over: %j", (bytes) => {
    const { answers, rest } = readAnswers(Buffer.from(bytes));
    expect(answers).toEqual([]);
    expect(rest.toString()).toBe(bytes);
  });
});
