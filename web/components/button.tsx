import type { ComponentProps } from "react";
import styles from "./button.module.css";

export type ButtonLook = "main" | "plain" | "quiet" | "danger";

interface ButtonProps extends Omit<ComponentProps<"button">, "className"> {
  readonly look?: ButtonLook;
  /** Under way: the button says so and a press does nothing. It keeps its focus, which `disabled` would take. */
  readonly busy?: boolean;
}

export function Button({ look = "plain", busy = false, type = "button", onClick, ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={styles[look]}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    />
  );
}

interface ButtonLinkProps extends Omit<ComponentProps<"a">, "className"> {
  readonly look?: ButtonLook;
}

/** A link that looks like a button: for going somewhere, or saving a file. */
export function ButtonLink({ look = "plain", ...rest }: ButtonLinkProps) {
  return <a {...rest} className={styles[look]} />;
}
