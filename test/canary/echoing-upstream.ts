import type { ServerResponse } from "node:http";
import sharp from "sharp";
import { type ScriptedAnswer, type ScriptedRequest, startScriptedServer } from "../support/scripted-server.ts";
import type { Place } from "./search.ts";

interface Known {
  readonly key: string;
  readonly baseUrl: string;
}

/** A code that a real upstream could have, to be stored and logged. */
export const codeWith = (mark: string) => `Control.${mark}`;

const refusal = (status: number, body: object): ScriptedAnswer => ({ status, body });
const page = (status: number, body: string): ScriptedAnswer => ({
  status,
  body,
  headers: { "content-type": "text/html" },
});
const delivered = (link: string): ScriptedAnswer => ({
  body: {
    output: { choices: [{ finish_reason: "stop", message: { role: "assistant", content: [{ image: link }] } }] },
    usage: { image_count: 1 },
    request_id: "echo",
  },
});

/** Ways in which an upstream, or a gateway before it, sends our own key back, by the word after `echo:` in a prompt. */
export const ECHOES: Readonly<Record<string, (known: Known) => ScriptedAnswer>> = {
  message: ({ key }) => refusal(400, { code: "InvalidParameter", message: `Not a key: ${key}.`, request_id: "echo" }),
  code: ({ key }) => refusal(400, { code: `Bad.${key}`, message: "see code", request_id: "echo" }),
  "request-id": ({ key }) => ({
    status: 400,
    headers: {
      "x-request-id": key,
      "retry-after": key,
      "set-cookie": `key=${key}`,
      "www-authenticate": `Bearer ${key}`,
    },
    body: { code: "InvalidParameter", message: "see request id", request_id: key },
  }),
  "request-id-header": ({ key }) => ({ status: 400, headers: { "x-request-id": key }, body: "" }),
  encoded: ({ key }) => {
    const [basic, shifted] = [`:${key}`, `Bearer ${key}`].map((text) => Buffer.from(text).toString("base64"));
    const bytes = Buffer.from(key);
    const forms = [encodeURIComponent(key), bytes.toString("hex"), bytes.toString("hex").toUpperCase(), basic, shifted];
    forms.push(bytes.toString("base64"), bytes.toString("base64url"));
    return refusal(400, { code: "InvalidParameter", message: forms.join(" "), request_id: "echo" });
  },
  // V8 stores a string with such characters as UTF-16.
  chinese: ({ key }) => refusal(400, { code: "InvalidParameter", message: `无效的密钥 ${key}`, request_id: "echo" }),
  "cut-message": ({ key }) =>
    refusal(400, {
      code: "InvalidParameter",
      message: `${"long ".repeat(95)}${key}${" long".repeat(95)}`,
      request_id: "echo",
    }),
  "cut-code": ({ key }) => refusal(400, { code: `${"c".repeat(180)}${key}`, message: "cut", request_id: "echo" }),
  page: ({ key }) => page(400, `<html><!-- ${key} --><body key="${key}"><h1>400</h1><b>${key}</b></body></html>`),
  "cut-page": ({ key }) => page(400, `<html><body>${"word ".repeat(36)}${key}</body></html>`),
  "far-in-a-page": ({ key }) => page(400, `<html>${"<br>".repeat(990)}${key}</html>`),
  "bad-json": ({ key }) => ({ body: `{"authorization": "Bearer ${key}` }),
  "code-in-200": ({ key }) => ({ body: { code: "InvalidParameter", message: key, request_id: key } }),
  redirect: ({ key }) => ({ status: 302, headers: { location: `https://example.com/?key=${key}` }, body: key }),
  link: ({ key, baseUrl }) => delivered(`${baseUrl}/images/there.png?key=${key}`),
  "encoded-link": ({ key, baseUrl }) => delivered(`${baseUrl}/images/there.png?key=${encodeURIComponent(key)}`),
  "lost-link": ({ key, baseUrl }) => delivered(`${baseUrl}/images/lost.png?key=${key}`),
  "unfit-link": ({ key }) => delivered(`http://example.com/${key}`),
  "link-to-redirect": ({ baseUrl }) => delivered(`${baseUrl}/images/redirect.png`),
  "link-to-odd-type": ({ baseUrl }) => delivered(`${baseUrl}/images/odd-type.png`),
  unauthorized: ({ key }) =>
    refusal(401, { code: "InvalidApiKey", message: `Incorrect API key provided: ${key}`, request_id: key }),
};

/** The same for models with tasks. */
export const TASK_ECHOES: Readonly<Record<string, (known: Known) => object>> = {
  "task-id": ({ key }) => ({ task_id: key, task_status: "PENDING" }),
  "task-message": () => ({ task_id: "echo-task-message", task_status: "PENDING" }),
};

/**
 * An upstream in front of the emulator: prompts with `echo:WORD` get an answer that contains our own key, all other requests are
 * passed on. `places` are the requests that it got, without the one header that may contain the key.
 */
export async function startEchoingUpstream(emulatorUrl: string, control: string) {
  const places: Place[] = [];
  const png = await sharp({ create: { width: 512, height: 512, channels: 3, background: "#357" } })
    .png()
    .toBuffer();
  let lastKey = "";

  function note({ method, url, headers, body }: ScriptedRequest): void {
    const { authorization, ...others } = headers;
    const isForUpstream = url.pathname.startsWith("/api/v1/");
    const seen = isForUpstream ? others : headers;
    const head = `${method} ${url.href}\n${JSON.stringify(seen)}\n`;
    places.push({ kind: "sent upstream", name: url.pathname, bytes: Buffer.concat([Buffer.from(head), body]) });
    if (isForUpstream && authorization !== undefined) lastKey = authorization.replace("Bearer ", "");
  }

  function imageAnswer(pathname: string): ScriptedAnswer {
    switch (pathname) {
      case "/images/there.png":
        return {
          stream: (response: ServerResponse) => void response.writeHead(200, { "content-type": "image/png" }).end(png),
        };
      case "/images/redirect.png":
        return { status: 302, headers: { location: `http://example.com/${lastKey}` } };
      case "/images/odd-type.png":
        return { headers: { "content-type": `text/${encodeURIComponent(lastKey)}` }, body: lastKey };
      default:
        return { status: 404, body: lastKey };
    }
  }

  async function passOn({ method, url, headers, body }: ScriptedRequest): Promise<ScriptedAnswer> {
    const sent = new Headers();
    for (const name of ["authorization", "content-type", "x-dashscope-async", "accept"]) {
      const value = headers[name];
      if (typeof value === "string") sent.set(name, value);
    }
    const init = method === "GET" ? {} : { body: Uint8Array.from(body) };
    try {
      const answer = await fetch(new URL(url.pathname + url.search, emulatorUrl), {
        method,
        headers: sent,
        redirect: "manual",
        ...init,
      });
      const head = [...answer.headers].filter(
        ([name]) => !["content-length", "transfer-encoding", "connection"].includes(name),
      );
      return { status: answer.status, headers: Object.fromEntries(head), body: await answer.text() };
    } catch {
      return "cut";
    }
  }

  const server = await startScriptedServer({
    answer: async (request) => {
      note(request);
      const { url, body } = request;
      if (url.pathname.startsWith("/images/")) return imageAnswer(url.pathname);
      if (url.pathname.endsWith("/tasks/echo-task-message")) {
        return {
          body: {
            output: { task_status: "FAILED", code: "InternalError.Echo", message: lastKey },
            request_id: lastKey,
          },
        };
      }
      const word = /echo:([\w-]+)/.exec(body.toString("latin1"))?.[1] ?? "";
      const known = { key: lastKey, baseUrl: server.baseUrl };
      if (word === "control") return refusal(400, { code: codeWith(control), message: control, request_id: "echo" });
      const task = TASK_ECHOES[word];
      if (task !== undefined) return { body: { output: task(known), request_id: "echo" } };
      return ECHOES[word]?.(known) ?? (await passOn(request));
    },
  });
  return { ...server, places };
}
