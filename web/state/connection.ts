import type { ConnectionState } from "../../client/follow.ts";

/** The words of the lamp in the header for the state of the connection. */
export interface ConnectionWords {
  readonly label: string;
  readonly explanation: string;
}

export function connectionWords(state: ConnectionState): ConnectionWords {
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
        label: "Every 5 s",
        explanation: "No live feed gets through, so the page asks for changes every 5 s.",
      };
    case "closed":
      return { label: "Offline", explanation: "Changes no longer appear. Load the page again." };
  }
}

const RANK: Readonly<Record<ConnectionState, number>> = {
  live: 0,
  polling: 1,
  connecting: 2,
  reconnecting: 3,
  closed: 4,
};

/** The worst state of several connections: the page is only as fresh as that one. */
export function worstConnection(states: readonly ConnectionState[]): ConnectionState {
  return states.reduce((worst, state) => (RANK[state] > RANK[worst] ? state : worst), "live" as ConnectionState);
}
