import { useEffect } from "react";
import { Route, Switch } from "wouter";
import { followFeed } from "../data/live-feed.ts";
import { Home } from "./home.tsx";
import { JobView } from "./job/job-view.tsx";
import { Lanes } from "./lanes/lanes.tsx";
import { NotFound } from "./not-found.tsx";
import styles from "./room.module.css";
import { TopBar } from "./top-bar.tsx";

/** Everything behind the gate. The live feed runs for as long as one is inside, whatever view is open. */
export function Room({ withSession }: { readonly withSession: boolean }) {
  useEffect(() => {
    const leaving = new AbortController();
    void followFeed(leaving.signal);
    return () => leaving.abort(new DOMException("the room was left", "AbortError"));
  }, []);
  return (
    <>
      <a href="#content" className={styles.skip}>
        Skip to content
      </a>
      <TopBar withSession={withSession} />
      <main id="content" className={styles.content} tabIndex={-1}>
        <Switch>
          <Route path="/">
            <Home />
          </Route>
          <Route path="/jobs/:id">{({ id }) => <JobView key={id} id={id} />}</Route>
          <Route path="/lanes">
            <Lanes />
          </Route>
          <Route>
            <NotFound />
          </Route>
        </Switch>
      </main>
    </>
  );
}
