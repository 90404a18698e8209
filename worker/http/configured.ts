import type { MiddlewareHandler } from "hono";
import { configOf } from "../env.ts";
import type { HttpEnv } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** Leaves the settings for handlers; while one is missing or wrong nothing but health is answered. */
export const configured: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const read = configOf(c.env);
  if (!read.ok) {
    const detail = read.errors.map((error) => `${error.path} ${error.message}`).join("; ");
    throw new ProblemError("misconfigured", detail, { errors: read.errors });
  }
  c.set("config", read.config);
  await next();
};
