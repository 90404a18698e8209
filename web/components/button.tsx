import type { ComponentProps } from "react";
import styles from "./button.module.css";

export type ButtonLook = "main" | "plain" | "quiet" | "danger" | "over";

interface ButtonProps extends Omit<ComponentProps<"button">, "className"> {
  readonly look?: ButtonLook;
  /** The action is under way: the button shows it and a press does nothing. It keeps its focus, which `disabled` would remove. */
  readonly busy?: boolean;
  /** A press does nothing for now; the button keeps its focus. */
  readonly idle?: boolean;
}

export function Button({ look = "plain", busy = false, idle = false, type = "button", onClick, ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={styles[look]}
      aria-disabled={busy || idle || undefined}
      aria-busy={busy || undefined}
      onClick={(event) => {
        if (busy || idle) event.preventDefault();
        else onClick?.(event);
      }}
    />
  );
}

interface ButtonLinkProps extends Omit<ComponentProps<"a">, "className"> {
  readonly look?: ButtonLook;
}

/** A link that looks like a button, for opening an address or saving a file. */
export function ButtonLink({ look = "plain", ...rest }: ButtonLinkProps) {
  return <a {...rest} className={styles[look]} />;
}
