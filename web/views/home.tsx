import { MAX_INPUT_IMAGES } from "../../schemas/submit.ts";
import { useArrival } from "../components/focus.ts";
import { LoadFailure } from "../components/load-failure.tsx";
import { draft as draftStore } from "../data/draft-store.ts";
import { refreshLimits, useLimits, useLimitsFailure } from "../data/limits.ts";
import { useStore } from "../data/store.ts";
import { chosenModel } from "../state/model-words.ts";
import { Compose } from "./compose/compose.tsx";
import styles from "./home.module.css";
import { useImageIntake } from "./image-intake.ts";
import { JobWall } from "./wall/job-wall.tsx";

/** The form on one side, all prints on the other. Images dropped or pasted anywhere here become references. */
export function Home() {
  const heading = useArrival("");
  const draft = useStore(draftStore);
  const limits = useLimits();
  const failure = useLimitsFailure();
  const model = limits === null ? null : chosenModel(draft.workflow, draft.model, limits.models);
  const reference = limits === null ? null : chosenModel("image-from-reference", draft.model, limits.models);
  // Before the model's own limit is known, take as many as any model takes: the form then shows when there are too many.
  const max = reference?.images.max ?? MAX_INPUT_IMAGES;

  const dragged = useImageIntake(max);

  return (
    <div className={styles.home}>
      <h1 className="unseen" tabIndex={-1} ref={heading}>
        Darkroom
      </h1>
      <div className={styles.compose} data-region data-reference-zone data-wanted={dragged === "print" || undefined}>
        {limits !== null && model !== null ? (
          <Compose limits={limits} model={model} />
        ) : failure !== null ? (
          <LoadFailure what="The form" error={failure} onAgain={refreshLimits} />
        ) : (
          <div className={styles.ghost} role="status">
            <span className="unseen">Loading the form</span>
          </div>
        )}
      </div>
      <JobWall />
      {dragged === "images" && (
        <div className={styles.drop} aria-hidden="true">
          Drop to use as a reference
        </div>
      )}
    </div>
  );
}
