import { OPERATOR_NAME } from "../../schemas/limits.ts";
import { CLIENT_NAME, FOR_CLIENT_NAME, readStored, writeStored } from "./browser-storage.ts";
import { createStore, useStore } from "./store.ts";

/**
 * Whether this browser is signed in as the operator, who sees everyone's jobs and submits for a client of his choice. At first
 * what the last sign-in was told; the feed, which the operator has none of, decides.
 */
export const isOperator = createStore(readStored(CLIENT_NAME) === OPERATOR_NAME);

/** For whom the operator submits; empty before he said. */
const forClient = createStore(readStored(FOR_CLIENT_NAME) ?? "");

/** Chooses for whom the operator submits, and keeps it for the next visit. */
export function chooseClient(client: string): void {
  forClient.set(client);
  writeStored(FOR_CLIENT_NAME, client);
}

/** For whom a job is to be made, as the operator typed it; null for a client, who submits for itself. */
export function useForClient(): string | null {
  const client = useStore(forClient);
  return useStore(isOperator) ? client : null;
}
