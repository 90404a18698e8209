import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { jobList } from "../../data/live-jobs.ts";
import { chooseClient } from "../../data/operator.ts";
import { useStore } from "../../data/store.ts";
import type { Finding } from "../../state/draft-check.ts";
import { clientsOf } from "../../state/job-list.ts";
import { fieldMark } from "./focus-field.ts";

interface ClientFieldProps {
  readonly client: string;
  readonly findings: readonly Finding[];
}

/** For whom the operator submits: a client whose jobs are seen, or any other by its name. */
export function ClientField({ client, findings }: ClientFieldProps) {
  const known = clientsOf(useStore(jobList));
  return (
    <div className={field.field} {...fieldMark("client")}>
      <label htmlFor="client" className={field.label}>
        For client
      </label>
      <input
        id="client"
        className={field.control}
        list="known-clients"
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        value={client}
        onChange={({ target }) => chooseClient(target.value)}
        aria-describedby="client-hint client-findings"
        aria-invalid={isInvalid("client", findings)}
      />
      <datalist id="known-clients">
        {known.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <p id="client-hint" className={field.hint}>
        You are the operator: the job belongs to the client named here.
      </p>
      <Findings id="client-findings" field="client" findings={findings} />
    </div>
  );
}
