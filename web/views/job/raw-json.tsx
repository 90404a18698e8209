import type { Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { CopyButton } from "../../components/copy-button.tsx";
import styles from "./raw-json.module.css";

/** The job as JSON, as in the API's answer. */
export function RawJson({ job }: { readonly job: Job }) {
  const text = JSON.stringify(job, null, 2);
  return (
    <details className={styles.raw}>
      <summary>Raw JSON</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard. */}
      <pre tabIndex={0}>{text}</pre>
      <p>
        <CopyButton text={text} label="Copy" done="JSON copied" look="quiet" />
        <code>GET {paths.job(job.id)}</code>
      </p>
    </details>
  );
}
