import type { Health } from "../../../schemas/limits.ts";
import { Button } from "../../components/button.tsx";
import { Coded } from "../../components/coded.tsx";
import { checkAccess } from "../../data/access.ts";
import { useGateAgain } from "./again.ts";
import styles from "./gate.module.css";
import { GateCard } from "./gate.tsx";

/** Names each variable that is missing or wrong, and how to set it. */
export function Misconfigured({ health }: { readonly health: Health }) {
  useGateAgain();
  return (
    <GateCard title="Not set up yet">
      <p>The Worker runs, but takes no jobs until its operator mends this:</p>
      <ul className={styles.problems}>
        {(health.problems ?? []).map((problem) => (
          <li key={`${problem.path} ${problem.message}`}>
            <code>{problem.path}</code> <Coded text={problem.message} />
          </li>
        ))}
      </ul>
      <p>
        Secrets are set with <code>npx wrangler secret put NAME</code>, variables in <code>wrangler.toml</code>; locally
        both go into <code>.dev.vars</code>. This page opens by itself once all is well.
      </p>
      <Button onClick={() => void checkAccess()}>Check now</Button>
    </GateCard>
  );
}
