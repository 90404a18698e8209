import type { ModelInfo } from "../../../schemas/limits.ts";
import type { Draft } from "../../state/draft.ts";
import type { Finding } from "../../state/draft-check.ts";

/** What every part of the form is given. */
export interface FieldProps {
  readonly draft: Draft;
  readonly model: ModelInfo;
  readonly findings: readonly Finding[];
}
