import { useEffect } from "react";
import { useDropzone } from "react-dropzone";
import { useArrival } from "../components/arrival.ts";
import { LoadFailure } from "../components/load-failure.tsx";
import { draft as draftStore } from "../data/draft-store.ts";
import { addressOf, filesOf, takeFiles, takeImages } from "../data/incoming-images.ts";
import { refreshLimits, useLimits, useLimitsFailure } from "../data/limits.ts";
import { useStore } from "../data/store.ts";
import { chosenModel } from "../state/model-words.ts";
import { Compose } from "./compose/compose.tsx";
import styles from "./home.module.css";
import { JobWall } from "./wall/job-wall.tsx";

/** Compose on one side, all prints on the other. Images dropped or pasted anywhere here become references. */
export function Home() {
  const heading = useArrival("");
  const draft = useStore(draftStore);
  const limits = useLimits();
  const failure = useLimitsFailure();
  const model = limits === null ? null : chosenModel(draft.workflow, draft.model, limits.models);
  const reference = limits === null ? null : chosenModel("image-from-reference", draft.model, limits.models);
  const max = reference?.images.max ?? 0;

  useEffect(() => {
    const onPaste = (event: ClipboardEvent) => {
      const files = filesOf(event.clipboardData);
      if (files.length === 0) return;
      event.preventDefault();
      void takeFiles(files, max);
    };
    document.addEventListener("paste", onPaste);
    return () => document.removeEventListener("paste", onPaste);
  }, [max]);

  const { getRootProps, isDragActive } = useDropzone({
    noClick: true,
    noKeyboard: true,
    onDrop: (files) => void takeFiles(files, max),
  });

  return (
    <div
      {...getRootProps({
        role: undefined,
        className: styles.home,
        onDrop: ({ dataTransfer }) => {
          const url = dataTransfer.files.length === 0 ? addressOf(dataTransfer) : null;
          if (url !== null) takeImages([{ kind: "url", url }], max);
        },
      })}
    >
      <h1 className="unseen" tabIndex={-1} ref={heading}>
        Darkroom
      </h1>
      <div className={styles.compose}>
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
      {isDragActive && (
        <div className={styles.drop} aria-hidden="true">
          Drop to use as a reference
        </div>
      )}
    </div>
  );
}
