import { useEffect } from "react";
import { Route, Switch } from "wouter";
import { useLateView } from "../components/late-dialog.ts";
import { boundList } from "../data/list-bound.ts";
import { followFeeds } from "../data/live-feed.ts";
import { Home } from "./home.tsx";
import { NotFound } from "./not-found.tsx";
import styles from "./room.module.css";
import { useTabSign } from "./tab-sign.ts";
import { TopBar } from "./top-bar.tsx";
import { ViewerHost } from "./viewer-host.tsx";

/** Everything behind the gate. The live feed runs while this is shown, whichever view is open. */
export function Room({ withSession }: { readonly withSession: boolean }) {
  useEffect(() => {
    const leaving = new AbortController();
    void followFeeds(leaving.signal);
    boundList(leaving.signal);
    return () => leaving.abort(new DOMException("the room was left", "AbortError"));
  }, []);
  useTabSign();
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
          <Route path="/jobs/:id">{({ id }) => <LateJob id={id} />}</Route>
          <Route path="/lanes">
            <LateLanes />
          </Route>
          <Route path="/spend">
            <LateSpend />
          </Route>
          <Route>
            <NotFound />
          </Route>
        </Switch>
      </main>
      <ViewerHost />
    </>
  );
}

const loadJob = () => import("./job/job-view.tsx");
const loadSpend = () => import("./spend/spend.tsx");
const loadLanes = () => import("./lanes/lanes.tsx");

/** The code of one job's page is loaded when it is first opened: the wall does not need it. */
function LateJob({ id }: { readonly id: string }) {
  const JobView = useLateView(loadJob);
  return JobView === null ? <LateHint /> : <JobView key={id} id={id} />;
}

function LateLanes() {
  const Lanes = useLateView(loadLanes);
  return Lanes === null ? <LateHint /> : <Lanes />;
}

function LateSpend() {
  const Spend = useLateView(loadSpend);
  return Spend === null ? <LateHint /> : <Spend />;
}

function LateHint() {
  return (
    <p role="status" className="unseen">
      Loading the view
    </p>
  );
}
