import { unpackBrowser } from "./browser.ts";
import { buildPageOnce, bundleWorker } from "./product.ts";

/** Makes what all product tests share before any of them runs, because they run beside each other. Returns what removes it. */
export default async function setup(): Promise<() => void> {
  buildPageOnce();
  await unpackBrowser();
  return bundleWorker();
}
