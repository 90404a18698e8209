import type { ModelInfo } from "../../../schemas/limits.ts";
import type { Draft } from "../../state/draft.ts";
import type { Finding } from "../../state/draft-check.ts";

/** The props of every part of the form. */
export interface FieldProps {
  readonly draft: Draft;
  readonly model: ModelInfo;
  readonly findings: readonly Finding[];
}
