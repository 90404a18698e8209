import { unpackBrowser } from "./browser.ts";
import { buildPageOnce, bundleWorker } from "./product.ts";

/** What all whole-product tests share is made before any of them: they run beside each other. Returns what removes it. */
export default async function setup(): Promise<() => void> {
  buildPageOnce();
  await unpackBrowser();
  return bundleWorker();
}
