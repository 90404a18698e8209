import type { ConnectionState } from "../../client/follow.ts";
import { connectionWords } from "../state/connection.ts";
import styles from "./connection-lamp.module.css";

/** The state of the connection, by a shape, a colour and a word: a green disc is live, amber waits, a red square is closed. */
export function ConnectionLamp({ state }: { readonly state: ConnectionState }) {
  const { label, explanation } = connectionWords(state);
  return (
    <p className={styles.lamp} data-state={state} role="status" title={explanation}>
      <svg className={styles.sign} viewBox="0 0 12 12" aria-hidden="true">
        <path d={SIGNS[state]} />
      </svg>
      <span className="unseen">Connection: </span>
      <span className={styles.label}>{label}</span>
      <span className="unseen">. {explanation}</span>
    </p>
  );
}

const DISC = "M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1Z";
const RING = `${DISC}M6 3.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z`;

const SIGNS: Readonly<Record<ConnectionState, string>> = {
  live: DISC,
  connecting: RING,
  polling: RING,
  reconnecting: "M6 .8 11.6 11H.4Z",
  closed: "M1.5 1.5h9v9h-9Z",
};
