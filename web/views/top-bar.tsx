import { Link, useLocation } from "wouter";
import { paths } from "../../schemas/paths.ts";
import { Button } from "../components/button.tsx";
import { ConnectionLamp } from "../components/connection-lamp.tsx";
import { Icon, Mark } from "../components/icon.tsx";
import { signOut, useIdentity } from "../data/access.ts";
import { notifying, toggleNotifying } from "../data/attention.ts";
import { connection } from "../data/live-feed.ts";
import { notify } from "../data/notices.ts";
import { useStore } from "../data/store.ts";
import { lastWallPlace } from "../data/wall.ts";
import { failureWords } from "../state/failure-words.ts";
import styles from "./top-bar.module.css";

export function TopBar({ withSession }: { readonly withSession: boolean }) {
  const [location] = useLocation();
  const state = useStore(connection);
  const current = (path: string) => (location === path ? "page" : undefined);
  const wall = location === "/" ? "/" : `/${lastWallPlace().search}`;
  const leave = () => signOut().catch((error) => notify("failed", failureWords(error).title));
  return (
    <header className={styles.bar}>
      <Link href={wall} className={styles.home}>
        <Mark />
        <span>Darkroom</span>
      </Link>
      <nav aria-label="Views" className={styles.views}>
        <Link href={wall} aria-current={current("/")}>
          Prints
        </Link>
        <Link href="/lanes" aria-current={current("/lanes")}>
          Lanes
        </Link>
        <Link href="/spend" aria-current={current("/spend")}>
          Spend
        </Link>
        <a href={paths.docs}>API</a>
      </nav>
      <ConnectionLamp state={state} />
      <Bell />
      {withSession && <Who />}
      {withSession && (
        <Button look="quiet" onClick={leave}>
          <Icon name="leave" /> <span className={styles.words}>Sign out</span>
        </Button>
      )}
    </header>
  );
}

/** The client or operator as whom this browser is signed in. */
function Who() {
  const identity = useIdentity();
  if (identity === null) return null;
  return (
    <p className={styles.who} data-role={identity.role} title={identity.client}>
      <span className="unseen">Signed in as </span>
      {identity.role === "operator" ? "Operator" : identity.client}
    </p>
  );
}

/** Turns notifications of jobs that end while the person looks elsewhere on and off. Hidden where the browser cannot show any. */
function Bell() {
  const state = useStore(notifying);
  if (state === "unable") return null;
  const label = state === "on" ? "Stop notifying me" : "Notify me when a job ends";
  return (
    <button
      type="button"
      className={styles.bell}
      aria-pressed={state === "on"}
      aria-label="Notify me when a job ends"
      title={state === "denied" ? "This browser blocks notifications of this page" : label}
      onClick={toggleNotifying}
    >
      <Icon name={state === "on" ? "bell" : "bellOff"} />
    </button>
  );
}
