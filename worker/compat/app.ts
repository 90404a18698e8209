import type { Hono } from "hono";
import type { HttpEnv } from "../http/context.ts";
import { dashscopeApp } from "./dashscope.ts";
import { openaiApp } from "./openai.ts";

/** Matches the first path steps after scheme and host. Every poll passes here, so the address is not parsed. */
const COMPATIBLE = /^[^/]*\/\/[^/?#]*(\/api)?\/v1(?:[/?#]|$)/;

/** The compatible API that an address belongs to; null for the native one. */
export function compatApp(url: string): Hono<HttpEnv> | null {
  const match = COMPATIBLE.exec(url);
  if (match === null) return null;
  return match[1] === undefined ? openaiApp : dashscopeApp;
}
