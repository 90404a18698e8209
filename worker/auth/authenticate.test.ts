import { describe, expect, it } from "vitest";
import { type Config, readConfig } from "../env.ts";
import { type AskerRequest, authenticate } from "./authenticate.ts";
import { closeSession, openSession, SESSION_MS } from "./session.ts";
import { ownerOf, sha256Hex } from "./tokens.ts";

const ORIGIN = "https://darkroom.example";
const now = Date.UTC(2026, 10, 23, 12);

function settings(vars: Record<string, string> = {}): Config {
  const read = readConfig({
    QWEN_API_KEY: "sk-test",
    SIGNING_SECRET: "a secret of many characters",
    CLIENT_TOKENS: JSON.stringify({ app: [sha256Hex("app-old"), sha256Hex("app-new")], other: sha256Hex("other") }),
    ADMIN_TOKEN_SHA256: sha256Hex("operator"),
    ALLOWED_ORIGINS: "https://app.example",
    ...vars,
  });
  if (!read.ok) throw new Error(JSON.stringify(read.errors));
  return read.config;
}

function ask(request: Partial<AskerRequest>, config = settings(), atMs = now) {
  const plain = { authorization: undefined, cookie: undefined, browserOrigin: undefined };
  return authenticate(config, { ...plain, ownOrigin: ORIGIN, needsOrigin: false, ...request }, atMs);
}

/** The `Cookie` header that a browser sends back. */
function sessionCookie(token: string, config = settings(), origin = ORIGIN) {
  const owner = ownerOf(config, token);
  const session = owner === null ? null : openSession(config, owner, origin, now);
  if (session === null) throw new Error("no session");
  return session.setCookie.split(";")[0] ?? "";
}

const app = (via: "token" | "session" | "open") => ({ ok: true, asker: { role: "client", client: "app", via } });
const unauthorized = (given: string) => ({ ok: false, code: "unauthorized", given });
const forbidden = { ok: false, code: "forbidden_origin" };

describe("a token", () => {
  it.each([
    ["Bearer app-old", app("token")],
    ["bearer   app-new", app("token")],
    ["Bearer operator", { ok: true, asker: { role: "operator", via: "token" } }],
    ["Bearer wrong", unauthorized("bad_token")],
    [`Bearer ${sha256Hex("app-old")}`, unauthorized("bad_token")],
    ["Bearer", unauthorized("bad_scheme")],
    ["Bearer ", unauthorized("bad_scheme")],
    ["Bearer a b", unauthorized("bad_scheme")],
    ["Basic YTpi", unauthorized("bad_scheme")],
    [undefined, unauthorized("nothing")],
  ])("%s", (authorization, expected) => {
    expect(ask({ authorization })).toEqual(expected);
  });

  it("may write from any origin, because a browser never sends it by itself", () => {
    const request = { authorization: "Bearer app-new", browserOrigin: "https://evil.example", needsOrigin: true };
    expect(ask(request)).toEqual(app("token"));
  });

  it("goes before a cookie, even when it is wrong", () => {
    expect(ask({ authorization: "Bearer wrong", cookie: sessionCookie("app-new") })).toEqual(unauthorized("bad_token"));
  });
});

describe("a session", () => {
  it("replaces its token until its end", () => {
    const cookie = `theme=dark; ${sessionCookie("app-new")}`;
    expect(ask({ cookie })).toEqual(app("session"));
    expect(ask({ cookie }, settings(), now + SESSION_MS - 1000)).toEqual(app("session"));
    expect(ask({ cookie }, settings(), now + SESSION_MS)).toEqual(unauthorized("nothing"));
    expect(ask({ cookie: sessionCookie("operator") })).toEqual({
      ok: true,
      asker: { role: "operator", via: "session" },
    });
  });

  it("ends with its token, with its client, and with the signing secret", () => {
    const cookie = sessionCookie("app-old");
    const tokens = (value: unknown) => settings({ CLIENT_TOKENS: JSON.stringify(value) });
    expect(ask({ cookie }, tokens({ app: sha256Hex("app-old") }))).toEqual(app("session"));
    expect(ask({ cookie }, tokens({ app: sha256Hex("app-new") }))).toEqual(unauthorized("nothing"));
    expect(ask({ cookie }, tokens({ other: sha256Hex("app-old") }))).toEqual(unauthorized("nothing"));
    const rotated = { SIGNING_SECRET: "another secret of many characters" };
    expect(ask({ cookie }, settings(rotated))).toEqual(unauthorized("nothing"));
    const both = { ...rotated, SIGNING_SECRET_OLD: "a secret of many characters" };
    expect(ask({ cookie }, settings(both))).toEqual(app("session"));
  });

  it.each<[string, (cookie: string) => string]>([
    ["cut", (cookie) => cookie.slice(0, -1)],
    ["longer", (cookie) => `${cookie}A`],
    ["unsigned", (cookie) => cookie.split(".")[0] ?? ""],
    [
      "with another payload",
      (cookie) => cookie.replace(/=[^.]+/, `=${Buffer.from('{"c":null,"t":"","e":9999999999}').toString("base64url")}`),
    ],
    ["empty", () => "__Host-darkroom="],
    ["of the name that http uses", (cookie) => cookie.replace("__Host-", "")],
  ])("belongs to no client when it is %s", (_name, change) => {
    expect(ask({ cookie: change(sessionCookie("app-new")) })).toEqual(unauthorized("nothing"));
  });

  it("writes only from our own pages or those of an allowed origin", () => {
    const cookie = sessionCookie("app-new");
    const write = (browserOrigin: string | undefined) => ask({ cookie, browserOrigin, needsOrigin: true });
    expect(write(ORIGIN)).toEqual(app("session"));
    expect(write("https://app.example")).toEqual(app("session"));
    expect(write("https://evil.example")).toEqual(forbidden);
    expect(write("null")).toEqual(forbidden);
    expect(write(undefined)).toEqual(forbidden);
    expect(ask({ cookie, browserOrigin: "https://evil.example" })).toEqual(app("session"));
  });

  it("is a cookie that no script reads and no other site sends, secure except on localhost", () => {
    const owner = ownerOf(settings(), "app-new");
    if (owner === null) throw new Error("no owner");
    const https = openSession(settings(), owner, ORIGIN, now)?.setCookie;
    expect(https).toMatch(
      /^__Host-darkroom=[\w-]+\.[\w-]+; Max-Age=604800; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
    const http = openSession(settings(), owner, "http://localhost:8787", now)?.setCookie;
    expect(http).toMatch(/^darkroom=[\w-]+\.[\w-]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/);
    // Without https a browser drops the cookie on any other host, and never sends it in the clear.
    expect(openSession(settings(), owner, "http://darkroom.example", now)?.setCookie).toMatch(/^__Host-.*; Secure;/);
    expect(closeSession(ORIGIN)).toBe("__Host-darkroom=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict");
    expect(`${https}${atob((https ?? "").split("=")[1]?.split(".")[0] ?? "")}`).not.toContain(
      sha256Hex("app-new").slice(0, 12),
    );
  });
});

describe("open mode", () => {
  const open = (vars: Record<string, string> = {}) => settings({ AUTH_MODE: "open", ...vars });
  const local = { ok: true, asker: { role: "client", client: "local", via: "open" } };

  it("serves this machine", () => {
    for (const ownOrigin of ["http://localhost:8787", "http://127.0.0.1:8787", "http://[::1]:8787"]) {
      expect(ask({ ownOrigin }, open())).toEqual(local);
    }
  });

  it("is refused on a public host name unless the settings have the phrase", () => {
    const refused = { ok: false, code: "open_mode_refused" };
    for (const ownOrigin of [ORIGIN, "http://localhost.evil.example", "http://192.0.2.7"]) {
      expect(ask({ ownOrigin }, open())).toEqual(refused);
      const phrase = { ALLOW_PUBLIC_OPEN_MODE: "yes, anyone may spend my money" };
      expect(ask({ ownOrigin }, open(phrase))).toEqual(local);
    }
  });

  it("takes writes from curl and our page, and from no other site's page", () => {
    const ownOrigin = "http://localhost:8787";
    const write = (browserOrigin: string | undefined) => ask({ ownOrigin, browserOrigin, needsOrigin: true }, open());
    expect(write(undefined)).toEqual(local);
    expect(write(ownOrigin)).toEqual(local);
    expect(write("https://app.example")).toEqual(local);
    expect(write("https://evil.example")).toEqual(forbidden);
    // Pages that this machine serves. A name that only begins like one of them belongs to another machine.
    expect(write("http://localhost:3000")).toEqual(local);
    expect(write("http://127.0.0.1:5173")).toEqual(local);
    expect(write("http://localhost.evil.example")).toEqual(forbidden);
    expect(write("null")).toEqual(forbidden);
  });
});
