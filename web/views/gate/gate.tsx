import type { ReactNode } from "react";
import { useArrival } from "../../components/arrival.ts";
import { Mark } from "../../components/mark.tsx";
import styles from "./gate.module.css";

/** What stands before the room: one card in the middle. */
export function GateCard({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  const heading = useArrival(title);
  return (
    <main className={styles.gate}>
      <div className={styles.card}>
        <p className={styles.name}>
          <Mark /> Darkroom
        </p>
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        {children}
      </div>
    </main>
  );
}
