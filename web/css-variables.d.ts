import "react";

declare module "react" {
  /** React sets styles through the CSSOM, which the content security policy allows. It would refuse style attributes in HTML. */
  interface CSSProperties {
    [variable: `--${string}`]: string | number;
  }
}
