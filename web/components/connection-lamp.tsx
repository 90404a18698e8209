import type { ConnectionState } from "../../client/follow.ts";
import { isOperator } from "../data/operator.ts";
import { useStore } from "../data/store.ts";
import { connectionWords } from "../state/connection.ts";
import styles from "./connection-lamp.module.css";

/** The safelight in the header: lit while the page is live, and always with the word beside it. */
export function ConnectionLamp({ state }: { readonly state: ConnectionState }) {
  const { label, explanation } = connectionWords(state, useStore(isOperator));
  return (
    <p className={styles.lamp} data-state={state} role="status" title={explanation}>
      <span className={styles.bulb} aria-hidden="true" />
      <span className="unseen">Connection: </span>
      {label}
      <span className="unseen">. {explanation}</span>
    </p>
  );
}
