import type { Hono } from "hono";
import type { HttpEnv } from "../http/context.ts";
import { dashscopeApp } from "./dashscope.ts";
import { openaiApp } from "./openai.ts";

/** After scheme and host: the first steps of a path. Polls pass through here, so that nothing is parsed. */
const COMPATIBLE = /^[^/]*\/\/[^/?#]*(\/api)?\/v1(?:[/?#]|$)/;

/** The compatible API that an address belongs to; null for the native one. */
export function compatApp(url: string): Hono<HttpEnv> | null {
  const match = COMPATIBLE.exec(url);
  if (match === null) return null;
  return match[1] === undefined ? openaiApp : dashscopeApp;
}
