import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark } from "../../components/focus.ts";
import { useIdentity } from "../../data/access.ts";
import { changeDraft } from "../../data/draft-store.ts";
import type { Finding } from "../../state/draft-check.ts";

interface ClientFieldProps {
  readonly client: string;
  readonly findings: readonly Finding[];
}

/** The client for whom the operator submits: one of those that have a token. */
export function ClientField({ client, findings }: ClientFieldProps) {
  const clients = [...(useIdentity()?.clients ?? [])].sort();
  return (
    <div className={field.field} {...fieldMark("client")}>
      <label htmlFor="client" className={field.label}>
        For client
      </label>
      <select
        id="client"
        className={field.control}
        value={client}
        onChange={({ target }) => changeDraft({ type: "set", change: { client: target.value } })}
        aria-describedby="client-hint client-findings"
        aria-invalid={isInvalid("client", findings)}
      >
        <option value="">Choose a client</option>
        {clients.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <p id="client-hint" className={field.hint}>
        You are the operator: the job belongs to the client chosen here.
      </p>
      <Findings id="client-findings" field="client" findings={findings} />
    </div>
  );
}
