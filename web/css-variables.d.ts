import "react";

declare module "react" {
  /** React sets styles through the CSSOM, which the content security policy allows; style attributes in HTML it would refuse. */
  interface CSSProperties {
    [variable: `--${string}`]: string | number;
  }
}
