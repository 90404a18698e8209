import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { app } from "./app.ts";

/** For tests inside workerd: the whole API on bindings that fail as the platform's can. */

export interface Sent {
  readonly answer: Promise<Response>;
  /** Waits for all work that continues beside the answer. */
  settled(): Promise<void>;
}

/** Sends one request to the app (or to a compatible API's), on bindings that can fail as the platform's do. */
export function send(request: Request, bindings: object = {}, to: Pick<typeof app, "fetch"> = app): Sent {
  const context = createExecutionContext();
  const answer = Promise.resolve(to.fetch(request, { ...env, ...bindings }, context));
  return { answer, settled: async () => void (await waitOnExecutionContext(context)) };
}

export type Methods = Readonly<Record<string, (...given: never[]) => Promise<unknown>>>;

/** A namespace of objects with one method of every stub replaced. */
export function namespaceWith(
  namespace: DurableObjectNamespace,
  method: string,
  replaced: (stub: Methods, ...given: never[]) => Promise<unknown>,
): DurableObjectNamespace {
  const spoiled = (stub: DurableObjectStub) => {
    const methods = stub as unknown as Methods;
    return new Proxy(methods, {
      // A stub has a method for every name.
      get:
        (_stub, asked) =>
        (...given: never[]) =>
          asked === method ? replaced(methods, ...given) : methods[String(asked)]?.(...given),
    });
  };
  return new Proxy(namespace, {
    get: (target, name) => {
      if (name === "getByName") return (asked: string) => spoiled(target.getByName(asked));
      if (name === "get") return (id: DurableObjectId) => spoiled(target.get(id));
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** An object that has stopped never answers a call. */
export const neverAnswers = () => new Promise<never>(() => undefined);
