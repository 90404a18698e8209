/**
 * How the product's modules are loaded here: `cloudflare:workers` is ours; the Worker can be loaded several times, as several
 * isolates; what a module holds in memory can be forgotten, as when its isolate dies; and a planted fault changes one line.
 * Import it before anything of the product.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = new URL("../../", import.meta.url);
const WORKER = new URL("worker/", ROOT).href;
const PRODUCT = [WORKER, new URL("client/", ROOT).href, new URL("schemas/", ROOT).href];

/** One line of the product, changed. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Forgets what the Worker's modules of one isolate hold in memory. */
const forgetters = new Map<string, (() => void)[]>();
(globalThis as Record<string, unknown>).simulationForgets = (isolate: string, forget: () => void) => {
  forgetters.set(isolate, [...(forgetters.get(isolate) ?? []), forget]);
};

export function forgetIsolate(isolate: string): void {
  for (const forget of forgetters.get(isolate) ?? []) forget();
}

/** How many pieces of module memory an isolate has. */
export function memoryOf(isolate: string): number {
  return forgetters.get(isolate)?.length ?? 0;
}

export function isolateOf(url: string): string {
  return new URL(url).searchParams.get("isolate") ?? "objects";
}

/** A `Map` or `Set` at the top of a module is what an isolate remembers between requests. */
const MODULE_MEMORY = /^(?:export )?const (\w+)(?:: [^=\n]+)? = new (?:Map|Set)(?:<[^;\n]*>)?\(\);$/gm;

function withForgetting(source: string, url: string): string {
  const names = Array.from(source.matchAll(MODULE_MEMORY), ([, name]) => name);
  if (names.length === 0) return source;
  const isolate = JSON.stringify(isolateOf(url));
  return `${source}\n${names.map((name) => `globalThis.simulationForgets(${isolate}, () => ${name}.clear());`).join("\n")}`;
}

/** One exported function whose calls are seen from outside: after each, `seen` has its arguments and its result. */
export interface Counted {
  readonly file: string;
  readonly name: string;
  readonly seen: (args: readonly unknown[], result: unknown) => void;
}

function withCounting(source: string, { name }: Counted): string {
  const head = `export function ${name}(`;
  if (source.split(head).length !== 2) throw new Error(`no function ${name} is exported once: mend what is counted`);
  const inner = `${name}Uncounted`;
  return `${source.replace(head, `function ${inner}(`)}
export function ${name}(...args: any[]) {
  const result = (${inner} as any)(...args);
  (globalThis as any).simulationSees(args, result);
  return result;
}`;
}

/** Throws when the line is not there exactly once: then the product has changed, and the planted fault must too. */
export function patched(source: string, { file, find, replace }: Patch): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `${file} holds ${JSON.stringify(find)} ${parts.length - 1} times instead of once: mend the planted fault`,
    );
  }
  return parts.join(replace);
}

/** Sets the hooks; once in a process. */
export function loadProductWith(patch: Patch | null, counted: Counted): void {
  const patchedUrl = patch === null ? null : new URL(patch.file, ROOT).href;
  // At once, and not when the file is loaded: it may be gone.
  if (patch !== null) patched(readFileSync(fileURLToPath(new URL(patch.file, ROOT).href), "utf8"), patch);
  const countedUrl = new URL(counted.file, ROOT).href;
  (globalThis as Record<string, unknown>).simulationSees = counted.seen;
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "cloudflare:workers") {
        return { url: new URL("./workers-module.ts", import.meta.url).href, shortCircuit: true };
      }
      const isFromProduct =
        context.parentURL !== undefined && PRODUCT.some((root) => context.parentURL?.startsWith(root));
      // Its other entry keeps a pool of random bytes, filled by the machine.
      if (specifier === "nanoid") {
        const { url } = next(specifier, context);
        return { url: new URL("./index.browser.js", url).href, shortCircuit: true };
      }
      const found = next(specifier, context);
      const isolate = context.parentURL === undefined ? null : new URL(context.parentURL).searchParams.get("isolate");
      if (isolate === null || !isFromProduct || !found.url.startsWith(WORKER) || found.url.includes("?")) return found;
      return { ...found, url: `${found.url}?isolate=${isolate}` };
    },
    load(url, context, next) {
      if (!url.startsWith(WORKER) && !PRODUCT.some((root) => url.startsWith(root))) return next(url, context);
      const [bare = url] = url.split("?");
      let source = readFileSync(fileURLToPath(bare), "utf8");
      if (patch !== null && bare === patchedUrl) source = patched(source, patch);
      if (bare === countedUrl) source = withCounting(source, counted);
      if (url.startsWith(WORKER)) source = withForgetting(source, url);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

export function productUrl(file: string, isolate: string | null = null): string {
  const { href } = pathToFileURL(fileURLToPath(new URL(file, ROOT).href));
  return isolate === null ? href : `${href}?isolate=${isolate}`;
}
