import type { Hono } from "hono";
import type { HttpEnv } from "./http-env.ts";

interface KnownPath {
  readonly pattern: RegExp;
  readonly methods: ReadonlySet<string>;
}

function patternOf(path: string): RegExp {
  const escaped = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:\w+/g, "[^/]+");
  return new RegExp(`^${escaped}$`);
}

/** Every path with a handler, and the methods it takes: the `Allow` of 405 and OPTIONS. Read from the app once, when it is built. */
export function knownPathsOf(app: Hono<HttpEnv>): (path: string) => readonly string[] | null {
  const methodsOf = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    // ALL is middleware here; handlers name their method.
    if (method === "ALL") continue;
    const methods = methodsOf.get(path) ?? new Set();
    methods.add(method);
    if (method === "GET") methods.add("HEAD");
    methodsOf.set(path, methods);
  }
  const known: KnownPath[] = [...methodsOf].map(([path, methods]) => ({ pattern: patternOf(path), methods }));
  return (path) => {
    const found = known.filter(({ pattern }) => pattern.test(path));
    return found.length === 0 ? null : [...new Set(found.flatMap(({ methods }) => [...methods, "OPTIONS"]))];
  };
}
