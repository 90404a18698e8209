import { access, useIdentity } from "./access.ts";
import { draft } from "./draft-store.ts";
import { useStore } from "./store.ts";

/** Whether the operator uses the page. The operator sees everyone's jobs and submits for a client of his choice. */
export function isOperator(): boolean {
  const gate = access.get();
  return gate.kind === "open" && gate.identity.role === "operator";
}

/** The same for views. */
export function useIsOperator(): boolean {
  return useIdentity()?.role === "operator";
}

/** Whether the page may make the operator's calls: in open mode, where there is no operator, everyone may. */
export function useMayOperate(): boolean {
  const gate = useStore(access);
  return gate.kind === "open" && (gate.identity.role === "operator" || gate.health.authMode === "open");
}

/** The client that the operator has chosen for the draft, empty unless it exists; null for a client, who submits for itself. */
export function useForClient(): string | null {
  const { client } = useStore(draft);
  const identity = useIdentity();
  if (identity?.role !== "operator") return null;
  return identity.clients.includes(client) ? client : "";
}
