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
/** What can be loaded several times: `?isolate=` in the address names the copy. */
const COPIED = [WORKER, new URL("client/", ROOT).href];

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

function isolateOf(url: string): string {
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

/** Isolate → the line that is changed in its copy. */
const patches = new Map<string, Patch>();

/** The copy of this isolate, loaded from here on, has the changed line. Throws when the line is not there any more. */
export function patchIsolate(isolate: string, patch: Patch): void {
  patched(readFileSync(fileURLToPath(new URL(patch.file, ROOT).href), "utf8"), patch);
  patches.set(isolate, patch);
}

/** Sets the hooks; once in a process. */
export function setHooks(counted: Counted): void {
  const countedUrl = new URL(counted.file, ROOT).href;
  (globalThis as Record<string, unknown>).simulationSees = counted.seen;
  const isCopied = (url: string | undefined) => COPIED.some((root) => url?.startsWith(root));
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "cloudflare:workers") {
        return { url: new URL("./workers-module.ts", import.meta.url).href, shortCircuit: true };
      }
      // Its other entry keeps a pool of random bytes, filled by the machine.
      if (specifier === "nanoid") {
        const { url } = next(specifier, context);
        return { url: new URL("./index.browser.js", url).href, shortCircuit: true };
      }
      const found = next(specifier, context);
      const { parentURL } = context;
      const isolate = parentURL === undefined ? null : new URL(parentURL).searchParams.get("isolate");
      if (isolate === null || !isCopied(parentURL) || !isCopied(found.url) || found.url.includes("?")) return found;
      return { ...found, url: `${found.url}?isolate=${encodeURIComponent(isolate)}` };
    },
    load(url, context, next) {
      const [bare = url] = url.split("?");
      if (!isCopied(url) || !bare.endsWith(".ts")) return next(url, context);
      let source = readFileSync(fileURLToPath(bare), "utf8");
      const patch = patches.get(isolateOf(url));
      if (patch !== undefined && bare === new URL(patch.file, ROOT).href) source = patched(source, patch);
      if (bare === countedUrl) source = withCounting(source, counted);
      if (url.startsWith(WORKER)) source = withForgetting(source, url);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

/** A file of the product, in the copy of an isolate. */
export function productUrl(file: string, isolate: string): string {
  const { href } = pathToFileURL(fileURLToPath(new URL(file, ROOT).href));
  return `${href}?isolate=${encodeURIComponent(isolate)}`;
}
