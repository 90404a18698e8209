import { type ReactNode, useEffect } from "react";
import { Button } from "../components/button.tsx";
import { useArrival } from "../components/focus.ts";
import { Mark } from "../components/icon.tsx";
import { checkAccess } from "../data/access.ts";
import styles from "./gate.module.css";

/** One card in the middle of the window, shown instead of the page. */
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

/** How often access is checked while the gate is shut. */
const AGAIN_MS = 5_000;

/** Checks access every 5 s, so that the page opens by itself once it can be used. */
export function useGateAgain(): void {
  useEffect(() => {
    const timer = setInterval(() => void checkAccess(), AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
}

export function Unreachable() {
  useGateAgain();
  return (
    <GateCard title="The server cannot be reached">
      <p>
        The page is here, but its server does not answer. It is asked again every few seconds; jobs lose nothing
        meanwhile.
      </p>
      <Button onClick={() => void checkAccess()}>Ask now</Button>
    </GateCard>
  );
}
