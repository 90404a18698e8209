import { type FormEvent, useEffect, useRef, useState } from "react";
import type { Health } from "../../schemas/limits.ts";
import { Button } from "../components/button.tsx";
import { Coded } from "../components/coded.tsx";
import field from "../components/field.module.css";
import { checkAccess, signIn } from "../data/access.ts";
import { failureWords, isSignedOut } from "../state/failure-words.ts";
import styles from "./gate.module.css";
import { GateCard, useGateAgain } from "./gate-card.tsx";

interface ShutProps {
  readonly kind: "misconfigured" | "signed_out";
  readonly health: Health;
}

/** What the operator or a client must do before the page opens. */
export default function Shut({ kind, health }: ShutProps) {
  return kind === "signed_out" ? <SignIn /> : <Misconfigured health={health} />;
}

/** Names each variable that is missing or wrong, and says how to set it. */
function Misconfigured({ health }: { readonly health: Health }) {
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

/** Swaps a token for a session; the token itself is not kept. */
function SignIn() {
  const [token, setToken] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const typed = token.trim();
    if (!/^[\x21-\x7e]+$/.test(typed)) {
      setProblem(typed === "" ? "Paste your token." : "A token has no spaces and no letters beyond ASCII.");
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      await signIn(typed);
    } catch (error) {
      const { title, detail } = failureWords(error);
      setProblem(isSignedOut(error) ? "This token is not known here." : `${title}. ${detail}`);
      setBusy(false);
    }
  };
  return (
    <GateCard title="Sign in">
      {!isSecureContext && (
        <p className={styles.insecure} role="alert">
          <strong>Signing in cannot work at this address.</strong> It is plain http, where browsers keep no secure
          cookie, so the session would be lost at once. Open <code>{`https://${location.host}`}</code>, or{" "}
          <code>http://localhost</code> on the machine itself.
        </p>
      )}
      <form onSubmit={submit} noValidate>
        <div className={field.field}>
          <label htmlFor="token" className={field.label}>
            Token
          </label>
          <input
            id="token"
            ref={input}
            type="password"
            className={field.control}
            autoComplete="current-password"
            autoCapitalize="none"
            spellCheck={false}
            value={token}
            onChange={({ target }) => setToken(target.value)}
            aria-describedby="token-problem token-hint"
            aria-invalid={problem !== null}
          />
          <p id="token-problem" role="alert" className={styles.error}>
            {problem}
          </p>
        </div>
        <Button type="submit" look="main" busy={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </Button>
        <p id="token-hint" className={field.hint}>
          The operator makes tokens with <code>npm run token -- NAME</code>. This browser then keeps a session cookie
          that no script can read, and not the token.
        </p>
      </form>
    </GateCard>
  );
}
