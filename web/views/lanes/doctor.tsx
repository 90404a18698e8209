import { useState } from "react";
import type { Diagnosis, DoctorCheck } from "../../../schemas/doctor.ts";
import { Button } from "../../components/button.tsx";
import { Coded } from "../../components/coded.tsx";
import { isShutOut } from "../../data/access.ts";
import { darkroom } from "../../data/darkroom.ts";
import { failureWords } from "../../state/failure-words.ts";
import styles from "./doctor.module.css";

/** The doctor, for the operator. It runs only on a press, because each examination writes to the storage and calls upstream. */
export function Doctor() {
  const [busy, setBusy] = useState(false);
  const [diagnosis, setDiagnosis] = useState<Diagnosis | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const examine = async () => {
    setBusy(true);
    try {
      setDiagnosis(await darkroom.diagnosis());
      setFailure(null);
    } catch (error) {
      if (!(await isShutOut(error))) setFailure(error);
    }
    setBusy(false);
  };
  const wrong = diagnosis?.checks.filter((check) => check.ok === false).length ?? 0;
  const summary = wrong === 0 ? "No check failed." : wrong === 1 ? "One check failed." : `${wrong} checks failed.`;
  return (
    <section className={styles.doctor} aria-labelledby="doctor">
      <h2 id="doctor">Doctor</h2>
      <p>Checks the settings, the storage, the objects and the key. A wrong key is tried in the other regions.</p>
      <Button busy={busy} onClick={examine}>
        {busy ? "Examining…" : diagnosis === null ? "Examine the deployment" : "Examine again"}
      </Button>
      <div role="status">
        {failure !== null && (
          <p className={styles.failure}>{`It could not be examined. ${failureWords(failure).title}.`}</p>
        )}
        {diagnosis !== null && <p>{summary}</p>}
      </div>
      {diagnosis !== null && (
        <ul>
          {diagnosis.checks.map((check) => (
            <Check key={check.name} check={check} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Check({ check: { name, ok, seen, fix } }: { readonly check: DoctorCheck }) {
  return (
    <li data-ok={String(ok)}>
      <h3>{name}</h3>
      <span className={styles.verdict}>{ok === null ? "unknown" : ok ? "fine" : "wrong"}</span>
      <p>
        <Coded text={seen} />
      </p>
      {fix !== null && (
        <p className={styles.fix}>
          <Coded text={fix} />
        </p>
      )}
    </li>
  );
}
