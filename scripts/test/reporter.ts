import { relative } from "node:path";
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";
import type { TestEvent } from "./progress.ts";

/** How many lines of a failure's text are kept: the message, its difference and the first calls. */
const FAILURE_LINES = 30;
/** Vitest reports no timeout of a hook. The longest timeout of a hook in `npm test` is 18 minutes (`test/crash.test.ts`). */
const HOOK_BOUND_MS = 20 * 60_000;

type On = Required<Reporter>;

/** Reports starts and ends to the process that started vitest. Without such a process it reports nothing. */
export default class ProgressReporter implements Reporter {
  onTestRunStart: On["onTestRunStart"] = (specifications) => {
    const files = specifications.map(({ moduleId, project }) => ({ file: path(moduleId), project: project.name }));
    send({ kind: "planned", files });
  };
  onTestModuleQueued: On["onTestModuleQueued"] = (module) => {
    send({ kind: "file started", file: path(module.moduleId) });
  };
  onHookStart: On["onHookStart"] = ({ name, entity }) => {
    send({ kind: "started", file: fileOf(entity), name: `${name} of ${nameOf(entity)}`, boundMs: HOOK_BOUND_MS });
  };
  onHookEnd: On["onHookEnd"] = ({ name, entity }) => {
    send({ kind: "ended", file: fileOf(entity), name: `${name} of ${nameOf(entity)}`, failure: null });
  };
  onTestCaseReady: On["onTestCaseReady"] = (test) => {
    const boundMs = test.options.timeout ?? test.project.config.testTimeout;
    send({ kind: "started", file: fileOf(test), name: nameOf(test), boundMs });
  };
  onTestCaseResult: On["onTestCaseResult"] = (test) => {
    const { state, errors } = test.result();
    const failure = state === "failed" ? failed(test, errors) : null;
    send({ kind: "ended", file: fileOf(test), name: nameOf(test), failure });
  };
  onTestModuleEnd: On["onTestModuleEnd"] = (module) => {
    const states = [...module.children.allTests()].map((test) => test.result().state);
    const count = (state: string) => states.filter((each) => each === state).length;
    const failures = [module, ...module.children.allSuites()]
      .filter((entity) => entity.errors().length > 0)
      .map((entity) => failed(entity, entity.errors()));
    if (module.state() === "failed" && count("failed") + failures.length === 0) failures.push(failed(module, []));
    const file = path(module.moduleId);
    send({ kind: "file ended", file, passed: count("passed"), skipped: count("skipped"), failures });
  };
  onTestRunEnd: On["onTestRunEnd"] = async (_, errors) => {
    const texts = errors.map((error) => `outside of any test\n${explained([error])}`);
    await new Promise<void>((resolve) => {
      if (!send({ kind: "run ended", errors: texts }, resolve)) resolve();
    });
  };
}

function send(event: TestEvent, sent?: () => void): boolean {
  // The process that started vitest may have died; then nobody receives events.
  return process.send?.(event, undefined, undefined, () => sent?.()) !== undefined;
}

type Entity = TestModule | TestSuite | TestCase;
const path = (moduleId: string) => relative(process.cwd(), moduleId);
const fileOf = (entity: Entity) => path(entity.type === "module" ? entity.moduleId : entity.module.moduleId);
const nameOf = (entity: Entity) => (entity.type === "module" ? "the file" : entity.fullName);

type Errors = readonly { readonly message: string; readonly stack?: string; readonly diff?: string }[];

function failed(entity: Entity, errors: Errors = []): string {
  const name = entity.type === "module" ? "" : ` > ${entity.fullName}`;
  return `|${entity.project.name}| ${fileOf(entity)}${name}\n${explained(errors)}`;
}

function explained(errors: Errors): string {
  const lines = errors.flatMap(({ message, stack, diff }) => {
    const calls = (stack ?? "").split("\n").filter((line) => /^\s+at /.test(line) && !line.includes("node_modules"));
    return [...message.split("\n"), ...(diff ?? "").split("\n"), ...calls].filter((line) => line.trim() !== "");
  });
  return lines.slice(0, FAILURE_LINES).join("\n") || "no error was reported";
}
