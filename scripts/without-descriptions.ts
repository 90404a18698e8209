import type { Rolldown } from "vite";

/** The parts of a syntax tree (ESTree) that are read here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly callee?: Node;
  readonly object?: Node;
  readonly property?: { readonly name?: string };
}

/**
 * For bundles that only parse: removes the calls of `.meta()` from the schemas. Their descriptions are for the OpenAPI
 * document, which the Worker makes, and are a sixth of the client's compressed code.
 */
export function withoutDescriptions(): Rolldown.Plugin {
  return {
    name: "without-descriptions",
    transform: {
      order: "pre",
      filter: { id: /\/schemas\/[\w-]+(?<!\.d)\.ts$/, code: ".meta(" },
      handler(code) {
        const left: [number, number][] = [];
        const look = (value: unknown): void => {
          if (value === null || typeof value !== "object") return;
          const { type, callee, end } = value as Node;
          if (type === "CallExpression" && callee?.property?.name === "meta" && callee.object !== undefined) {
            left.push([callee.object.end, end]);
          }
          for (const child of Object.values(value)) look(child);
        };
        look(this.parse(code, { lang: "ts" }));
        left.sort(([a], [b]) => b - a);
        return { code: left.reduce((text, [start, end]) => text.slice(0, start) + text.slice(end), code), map: null };
      },
    },
  };
}
