import { createDarkroomClient } from "../../client/darkroom-client.ts";

type Listener = () => void;
const listeners = new Set<Listener>();

/** Calls `listener` whenever a call gets no answer. */
export function onUnanswered(listener: Listener): void {
  listeners.add(listener);
}

async function fetchOrTell(input: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(input, init);
  } catch (error) {
    // A call that its caller aborted says nothing about the network.
    const isCalledOff = error instanceof DOMException && error.name === "AbortError";
    if (!isCalledOff) for (const listener of listeners) listener();
    throw error;
  }
}

/** The page's only way to the server: its own origin, to which the browser adds the session cookie. */
export const darkroom = createDarkroomClient({ fetch: fetchOrTell });
