/**
 * Loads the product's modules: `cloudflare:workers` is replaced; the Worker can be loaded several times, as several isolates;
 * a module's memory can be cleared, as when its isolate dies; and a planted fault changes one line. Import this before
 * anything of the product.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = new URL("../../", import.meta.url);
/** The checkouts that the product is loaded from: this one, and one of another version. */
const roots = [ROOT];

/** Modules of the Worker. */
const isWorkers = (url: string) => roots.some((root) => url.startsWith(new URL("worker/", root).href));
/** Modules that can be loaded several times. `?isolate=` in the address names the copy. */
const isCopied = (url: string) => isWorkers(url) || roots.some((root) => url.startsWith(new URL("client/", root).href));

/** From now on the product can be loaded from this checkout, too. `directory` ends with a slash. */
export function addCheckout(directory: string): URL {
  const root = pathToFileURL(directory);
  roots.push(root);
  return root;
}

/** A change of one line of the product. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Functions that clear the memory of one isolate's modules. */
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

/** A `Map` or `Set` at the top of a module is what an isolate keeps between requests. */
const MODULE_MEMORY = /^(?:export )?const (\w+)(?:: [^=\n]+)? = new (?:Map|Set)(?:<[^;\n]*>)?\(\);$/gm;

function withForgetting(source: string, url: string): string {
  const names = Array.from(source.matchAll(MODULE_MEMORY), ([, name]) => name);
  if (names.length === 0) return source;
  const isolate = JSON.stringify(isolateOf(url));
  return `${source}\n${names.map((name) => `globalThis.simulationForgets(${isolate}, () => ${name}.clear());`).join("\n")}`;
}

/** An exported function whose calls are observed: after each, `seen` gets its arguments and its result. */
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

/** Throws unless the line is there exactly once: otherwise the product has changed, and the planted fault must be changed too. */
export function patched(source: string, { file, find, replace }: Patch): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `${file} holds ${JSON.stringify(find)} ${parts.length - 1} times instead of once: mend the planted fault`,
    );
  }
  return parts.join(replace);
}

/** Isolate → the changed line of its copy. */
const patches = new Map<string, Patch>();

/** From now on this isolate's copy is loaded with the changed line. Throws when the line is no longer there. */
export function patchIsolate(isolate: string, patch: Patch): void {
  patched(readFileSync(fileURLToPath(new URL(patch.file, ROOT).href), "utf8"), patch);
  patches.set(isolate, patch);
}

/** Sets the hooks. To be called once in a process. */
export function setHooks(counted: Counted): void {
  const countedUrl = new URL(counted.file, ROOT).href;
  (globalThis as Record<string, unknown>).simulationSees = counted.seen;
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "cloudflare:workers") {
        return { url: new URL("./workers-module.ts", import.meta.url).href, shortCircuit: true };
      }
      // nanoid's other entry keeps a pool of random bytes, filled by the machine.
      if (specifier === "nanoid") {
        const { url } = next(specifier, context);
        return { url: new URL("./index.browser.js", url).href, shortCircuit: true };
      }
      const found = next(specifier, context);
      const { parentURL } = context;
      const isolate = parentURL === undefined ? null : new URL(parentURL).searchParams.get("isolate");
      if (isolate === null || !isCopied(parentURL ?? "") || !isCopied(found.url) || found.url.includes("?"))
        return found;
      return { ...found, url: `${found.url}?isolate=${encodeURIComponent(isolate)}` };
    },
    load(url, context, next) {
      const [bare = url] = url.split("?");
      if (!isCopied(url) || !bare.endsWith(".ts")) return next(url, context);
      let source = readFileSync(fileURLToPath(bare), "utf8");
      const patch = patches.get(isolateOf(url));
      if (patch !== undefined && bare === new URL(patch.file, ROOT).href) source = patched(source, patch);
      if (bare === countedUrl) source = withCounting(source, counted);
      if (isWorkers(url)) source = withForgetting(source, url);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

/** The address of a product's file in the copy of an isolate, from this checkout or another one. */
export function productUrl(file: string, isolate: string, root = ROOT): string {
  const { href } = pathToFileURL(fileURLToPath(new URL(file, root).href));
  return `${href}?isolate=${encodeURIComponent(isolate)}`;
}
