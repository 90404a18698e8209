import { Link, useLocation } from "wouter";
import { paths } from "../../schemas/paths.ts";
import { Button } from "../components/button.tsx";
import { ConnectionLamp } from "../components/connection-lamp.tsx";
import { Mark } from "../components/mark.tsx";
import { signOut } from "../data/access.ts";
import { connection } from "../data/live-feed.ts";
import { notify } from "../data/notices.ts";
import { useStore } from "../data/store.ts";
import { failureWords } from "../state/failure-words.ts";
import styles from "./top-bar.module.css";

export function TopBar({ withSession }: { readonly withSession: boolean }) {
  const [location] = useLocation();
  const state = useStore(connection);
  const current = (path: string) => (location === path ? "page" : undefined);
  const leave = () => signOut().catch((error) => notify("failed", failureWords(error).title));
  return (
    <header className={styles.bar}>
      <Link href="/" className={styles.home}>
        <Mark />
        <span>Darkroom</span>
      </Link>
      <nav aria-label="Views" className={styles.views}>
        <Link href="/" aria-current={current("/")}>
          Prints
        </Link>
        <Link href="/lanes" aria-current={current("/lanes")}>
          Lanes
        </Link>
        <a href={paths.docs}>API</a>
      </nav>
      <ConnectionLamp state={state} />
      {withSession && (
        <Button look="quiet" onClick={leave}>
          Sign out
        </Button>
      )}
    </header>
  );
}
