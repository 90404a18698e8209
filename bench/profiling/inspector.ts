import { WebSocket } from "ws";

/** Connects to a Worker's inspector at `port`. Returns a function that calls a method of it. `onEvent` is called with each event. */
export async function inspect(
  port: number,
  onEvent: (method: string, params: unknown) => void = () => undefined,
): Promise<(method: string, params?: object) => Promise<unknown>> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  const target = targets[0];
  if (target === undefined) throw new Error("the inspector shows no Worker");
  const socket = new WebSocket(target.webSocketDebuggerUrl, { maxPayload: 1 << 30 });
  await new Promise((open, failed) => socket.once("open", open).once("error", failed));
  let lastId = 0;
  const waiting = new Map<number, (result: unknown) => void>();
  socket.on("message", (data) => {
    const { id, result, method, params } = JSON.parse(String(data)) as {
      id?: number;
      result?: unknown;
      method?: string;
      params?: unknown;
    };
    if (id !== undefined) waiting.get(id)?.(result);
    else if (method !== undefined) onEvent(method, params);
  });
  return (method, params = {}) => {
    const id = ++lastId;
    const answered = Promise.withResolvers<unknown>();
    waiting.set(id, answered.resolve);
    socket.send(JSON.stringify({ id, method, params }));
    return answered.promise;
  };
}
