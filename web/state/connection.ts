import type { ConnectionState } from "../../client/follow.ts";

/** What the lamp in the header says of how news arrives. */
export interface ConnectionWords {
  readonly label: string;
  readonly explanation: string;
}

/** `everyones`: the operator is shown the jobs of all clients, of which there is no one feed. */
export function connectionWords(state: ConnectionState, everyones: boolean): ConnectionWords {
  switch (state) {
    case "live":
      return { label: "Live", explanation: "Changes appear as they happen." };
    case "connecting":
      return { label: "Connecting", explanation: "Opening the live feed." };
    case "reconnecting":
      return {
        label: "Reconnecting",
        explanation: "The live feed was lost. Jobs go on; everything missed is shown once it is back.",
      };
    case "polling":
      return {
        label: "Polling",
        explanation: everyones
          ? "Everyone's jobs have no live feed, so changes appear some seconds late."
          : "No live feed gets through, so changes appear some seconds late.",
      };
    case "closed":
      return { label: "Offline", explanation: "Nothing is followed any more. Load the page again." };
  }
}

const RANK: Readonly<Record<ConnectionState, number>> = {
  live: 0,
  polling: 1,
  connecting: 2,
  reconnecting: 3,
  closed: 4,
};

/** Of several connections, the one that is worst: what the page shows is only as fresh as that. */
export function worstConnection(states: readonly ConnectionState[]): ConnectionState {
  return states.reduce((worst, state) => (RANK[state] > RANK[worst] ? state : worst), "live" as ConnectionState);
}
