import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { freePort } from "./test/support/free-port.ts";

/** A poll that fails has failed: the default of one second is a bound on time that a loaded machine breaks. */
const PATIENT = { poll: { timeout: 60_000 } };

/** `PROPERTIES=long` tries a hundred times as many cases of each property; see `test/support/properties.ts`. */
const { PROPERTIES = "" } = process.env;
const TEST_TIMEOUT_MS = PROPERTIES === "long" ? 4 * 3_600_000 : 120_000;
/** Of a hook; the default of ten seconds is a bound on time as well. */
const HOOK_TIMEOUT_MS = 120_000;

/**
 * Product files in the order in which they start, before all others. First those that wait for most of their time, because the unit
 * and workers tests need both cores then; after them those that run long although they are short: without a record of earlier
 * runs vitest starts large files first.
 */
const FIRST_FILES = [
  "spend.test.ts",
  "lane.test.ts",
  "pause.test.ts",
  "canary.test.ts",
  "crash.test.ts",
  "client.test.ts",
  "page/door.test.ts",
  "page/live.test.ts",
  "page/states.test.ts",
];

/** Starts `FIRST_FILES` first, so that none runs alone at the end of a run. */
class FirstFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = FIRST_FILES.findIndex((file) => moduleId.endsWith(`/test/${file}`));
      return at === -1 ? FIRST_FILES.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

/**
 * Removes the source maps of libraries. Each workers file is sent all modules that it loads, and 3.6 of their 8.4 MB were these
 * maps.
 */
const WITHOUT_MAPS: Plugin = {
  name: "libraries-without-maps",
  enforce: "post",
  transform: (code, id) => (id.includes("/node_modules/") ? { code, map: { mappings: "" } } : null),
};

/**
 * Four projects: `unit` is pure code in plain Node, `workers` runs inside workerd with real objects and the emulator as
 * upstream, `product` drives the whole product from outside (processes, sockets, a browser), `simulation` runs the real
 * objects on a simulated platform, in processes of its own.
 */
export default defineConfig(async () => {
  const emulatorPort = await freePort();
  return {
    test: {
      // A test that passes has nothing to say; the logs of one that fails are shown.
      silent: "passed-only" as const,
      sequence: { sequencer: FirstFilesFirst },
      projects: [
        {
          test: {
            name: "unit",
            include: ["{schemas,worker,client,web,emulator,scripts,bench}/**/*.test.{ts,tsx}"],
            exclude: ["**/*.workers.test.ts", "**/node_modules/**"],
            testTimeout: TEST_TIMEOUT_MS,
            hookTimeout: HOOK_TIMEOUT_MS,
            expect: PATIENT,
            // Pure code: nothing of one file is seen by another, and a process for each file takes a third of the run.
            isolate: false,
          },
        },
        {
          plugins: [
            WITHOUT_MAPS,
            cloudflareTest({
              wrangler: { configPath: "./wrangler.toml" },
              miniflare: {
                // Under another name than the Worker looks for: without it, variants are made by the codecs.
                images: { binding: "TEST_IMAGES" },
                bindings: {
                  QWEN_API_KEY: "sk-test",
                  AUTH_MODE: "open",
                  QWEN_BASE_URL: `http://127.0.0.1:${emulatorPort}`,
                  // Budgets scaled down: two seconds for an attempt, six until its late answer is given up.
                  QWEN_TIMEOUT_MS: "2000",
                  LATE_ANSWER_MS: "6000",
                  // Clients of `worker/spend`'s tests; an image of z-image-turbo costs 0.015, one of wan2.6-t2i 0.03.
                  CLIENT_BUDGETS: JSON.stringify({
                    "spends-100": { monthly: 1.5 },
                    "spends-1": { monthly: 0.015 },
                    "spends-2": { monthly: 0.03 },
                    "spends-once": { monthly: 0.015 },
                    "spends-several": { monthly: 0.06 },
                    "spends-broken": { monthly: 3 },
                    "spends-some": { monthly: 3, alertAt: 1 },
                    "spends-all": { monthly: 0.15, alertAt: 0.5 },
                  }),
                  // Quotas that tests of anything but quotas need not wait for.
                  LANE_LIMITS: JSON.stringify({
                    "z-image-turbo": { starts: 50, periodMs: 1000 },
                    "qwen-image-edit-plus": { starts: 50, periodMs: 1000 },
                    "wan2.6-t2i": { starts: 50, periodMs: 1000, inProgress: 20 },
                  }),
                },
              },
            }),
          ],
          test: {
            name: "workers",
            include: ["worker/**/*.workers.test.ts"],
            globalSetup: ["./test/support/emulator-setup.ts", "./test/support/picture-setup.ts"],
            env: { EMULATOR_PORT: String(emulatorPort), PROPERTIES },
            testTimeout: TEST_TIMEOUT_MS,
            hookTimeout: HOOK_TIMEOUT_MS,
            expect: PATIENT,
            // In `npm test` the product's tests run beside these and take longer, so a second file at once would end nothing
            // sooner. It would take time from the one core that the budgets above are scaled for.
            maxWorkers: 1,
            sequence: { groupOrder: 1 },
          },
        },
        {
          test: {
            name: "product",
            include: ["test/**/*.test.ts"],
            globalSetup: ["./test/support/product-setup.ts"],
            testTimeout: 180_000,
            expect: PATIENT,
            hookTimeout: 240_000,
            // Two files run at once; each has its own processes, ports and state. Three take too much from the browsers' tests
            // on a busy machine.
            maxWorkers: 2,
            sequence: { groupOrder: 2 },
          },
        },
        {
          test: {
            name: "simulation",
            include: ["simulation/**/*.test.ts"],
            testTimeout: 180_000,
            maxWorkers: 1,
            sequence: { groupOrder: 3 },
          },
        },
      ],
    },
  };
});
