import { Link } from "wouter";
import { useArrival } from "../components/focus.ts";
import styles from "./message.module.css";

export function NotFound() {
  const heading = useArrival("Not found");
  return (
    <div className={styles.message}>
      <h1 tabIndex={-1} ref={heading}>
        Nothing hangs here
      </h1>
      <p>
        This address leads to no view. <Link href="/">Back to the prints</Link>
      </p>
    </div>
  );
}
