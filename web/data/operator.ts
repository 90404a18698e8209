import { access, useIdentity } from "./access.ts";
import { FOR_CLIENT_NAME, readStored, writeStored } from "./browser-storage.ts";
import { createStore, useStore } from "./store.ts";

/** Whether the operator uses the page, who sees everyone's jobs and submits for a client of his choice. */
export function isOperator(): boolean {
  const gate = access.get();
  return gate.kind === "open" && gate.identity.role === "operator";
}

/** The same for views. */
export function useIsOperator(): boolean {
  return useIdentity()?.role === "operator";
}

/** Whether the page may ask what only the operator may ask: in open mode, where there is no operator, everyone may. */
export function useMayOperate(): boolean {
  const gate = useStore(access);
  return gate.kind === "open" && (gate.identity.role === "operator" || gate.health.authMode === "open");
}

/** For whom the operator submits; empty before he chose. */
const forClient = createStore(readStored(FOR_CLIENT_NAME) ?? "");

/** Chooses for whom the operator submits, and keeps it for the next visit. */
export function chooseClient(client: string): void {
  forClient.set(client);
  writeStored(FOR_CLIENT_NAME, client);
}

/** For whom a job is to be made: the operator's choice, empty for none; null for a client, who submits for itself. */
export function useForClient(): string | null {
  const client = useStore(forClient);
  return useIsOperator() ? client : null;
}
