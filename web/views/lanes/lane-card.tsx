import type { LaneReport } from "../../../schemas/limits.ts";
import { Coded } from "../../components/coded.tsx";
import { useServerNow } from "../../data/server-clock.ts";
import { laneMood, nextStartWords, paceWords } from "../../state/lane-words.ts";
import { quotaWords } from "../../state/model-words.ts";
import { agoWords, countdownWords, durationWords } from "../../state/time-words.ts";
import styles from "./lane-card.module.css";

export function LaneCard({ lane }: { readonly lane: LaneReport }) {
  const nowMs = useServerNow();
  const mood = laneMood(lane);
  return (
    <article className={styles.card} data-tone={mood.tone}>
      <header className={styles.head}>
        <h2>{lane.model}</h2>
        <p className={styles.mood} title={mood.explanation}>
          {mood.title}
        </p>
      </header>
      {lane.blocked !== null && (
        <div className={styles.blocked}>
          <p>
            <code>{lane.blocked.code}</code>, first met {agoWords(Date.parse(lane.blocked.since), nowMs)}
          </p>
          <p>
            <Coded text={lane.blocked.hint} />
          </p>
          <p>Next try in {countdownWords(Date.parse(lane.blocked.nextProbeAt) - nowMs)}.</p>
        </div>
      )}
      {lane.blocked === null && mood.tone !== "open" && <p className={styles.explanation}>{mood.explanation}</p>}
      <dl className={styles.facts}>
        <Fact term="In line" value={String(lane.queued)} large />
        <Fact term="Developing" value={String(lane.inProgress)} large />
        <Fact term="Next start" value={nextStartWords(lane, nowMs)} large />
        <Fact term="Quota" value={quotaWords(lane.quota)} />
        <Fact term="Pace now" value={paceWords(lane)} />
        <Fact
          term="Usually takes"
          value={lane.typicalDurationMs === null ? "not seen yet" : durationWords(lane.typicalDurationMs)}
        />
      </dl>
      <Share pace={lane.blocked === null ? lane.pace : 0} />
    </article>
  );
}

/** How much of the quota the lane may use now, as a bar and in words. */
function Share({ pace }: { readonly pace: number }) {
  return (
    <div className={styles.share}>
      <span>Pace, of the whole quota</span>
      <span>{Math.round(pace * 100)} %</span>
      <div className={styles.pace} aria-hidden="true" style={{ "--pace": pace }} />
    </div>
  );
}

interface FactProps {
  readonly term: string;
  readonly value: string;
  readonly large?: boolean;
}

function Fact({ term, value, large = false }: FactProps) {
  return (
    <div data-large={large || undefined}>
      <dt>{term}</dt>
      <dd>{value}</dd>
    </div>
  );
}
