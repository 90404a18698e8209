import type { LaneReport } from "../../../schemas/limits.ts";
import { useArrival } from "../../components/focus.ts";
import { LoadFailure } from "../../components/load-failure.tsx";
import { refreshLimits, useLimits, useLimitsFailure } from "../../data/limits.ts";
import { useMayOperate } from "../../data/operator.ts";
import { failureWords } from "../../state/failure-words.ts";
import { laneMood, lanesByNeed } from "../../state/lane-words.ts";
import { Doctor } from "./doctor.tsx";
import { LaneCard } from "./lane-card.tsx";
import styles from "./lanes.module.css";

/** The state of each lane: the numbers that decide when a job starts. */
export default function Lanes() {
  const heading = useArrival("Lanes");
  const limits = useLimits();
  const failure = useLimitsFailure();
  const mayOperate = useMayOperate();
  return (
    <>
      <header className={styles.head}>
        <h1 tabIndex={-1} ref={heading}>
          Lanes
        </h1>
        <p>
          Upstream limits how many images of a model may be started. Each model therefore has its lane: jobs line up in
          it and start as soon as the quota allows.
        </p>
      </header>
      {limits !== null && failure !== null && (
        <p role="status" className={styles.old}>
          These numbers are old: new ones could not be loaded. {failureWords(failure).title}.
        </p>
      )}
      {limits === null && failure !== null ? (
        <LoadFailure what="The lanes" error={failure} onAgain={refreshLimits} />
      ) : limits === null ? (
        <p role="status" className={styles.none}>
          Loading…
        </p>
      ) : limits.lanes.length === 0 ? (
        <p className={styles.none}>No lane is in use yet. One opens with the first job of a model.</p>
      ) : (
        <Groups lanes={limits.lanes} />
      )}
      {mayOperate && <Doctor />}
    </>
  );
}

/** Lanes on hold have rows of their own, because their explanations need space that cards beside them would leave empty. */
function Groups({ lanes }: { readonly lanes: readonly LaneReport[] }) {
  const sorted = lanesByNeed(lanes);
  const isHeld = (lane: LaneReport) => laneMood(lane).tone === "blocked";
  const groups = [
    { label: "On hold", held: true, lanes: sorted.filter(isHeld) },
    { label: "In use", held: false, lanes: sorted.filter((lane) => !isHeld(lane)) },
  ];
  return groups
    .filter((group) => group.lanes.length > 0)
    .map((group) => (
      <ul key={group.label} className={styles.lanes} aria-label={group.label} data-held={group.held || undefined}>
        {group.lanes.map((lane) => (
          <li key={lane.model}>
            <LaneCard lane={lane} />
          </li>
        ))}
      </ul>
    ));
}
