import { type FormEvent, useEffect, useRef, useState } from "react";
import { Button } from "../../components/button.tsx";
import field from "../../components/field.module.css";
import { signIn } from "../../data/access.ts";
import { failureWords, isSignedOut } from "../../state/failure-words.ts";
import styles from "./gate.module.css";
import { GateCard } from "./gate.tsx";

/** Swaps a token for a session; the token itself is kept nowhere. */
export function SignIn() {
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
