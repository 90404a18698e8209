import { sizesFor } from "../../../schemas/limits.ts";
import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark } from "../../components/focus.ts";
import { changeDraft } from "../../data/draft-store.ts";
import { sizeChoices } from "../../state/sizes.ts";
import { CustomSize } from "./custom-size.tsx";
import type { FieldProps } from "./field-props.ts";
import styles from "./size-choices.module.css";

/** Sizes drawn as shapes, with the sides in pixels beneath. */
export function SizeChoices({ draft, model, findings }: FieldProps) {
  const sizes = sizesFor(model, draft.workflow);
  if (sizes.kind === "none") return <p className={field.hint}>This model sets the size itself.</p>;
  const choices = sizeChoices(sizes);
  const size = draft.size ?? sizes.default;
  const own = size !== null && !choices.some((choice) => choice.size === size);
  const free = sizes.kind !== "fixed";
  const set = (next: string | null) => changeDraft({ type: "set", change: { size: next } });
  const follows = draft.workflow === "image-from-reference";
  return (
    <fieldset {...fieldMark("size")}>
      <legend className={field.label}>Size</legend>
      <div className={styles.choices}>
        {sizes.default === null && (
          <Shape
            label="Auto"
            detail={follows ? "as the input" : "as it fits"}
            ratio={1}
            dashed
            checked={size === null}
            onChoose={() => set(null)}
          />
        )}
        {choices.map((choice) => (
          <Shape
            key={choice.size}
            label={choice.label}
            detail={`${choice.width}×${choice.height}`}
            ratio={choice.width / choice.height}
            checked={size === choice.size}
            onChoose={() => set(choice.size === sizes.default ? null : choice.size)}
          />
        ))}
        {free && (
          <Shape
            label="Own"
            detail="your sides"
            ratio={1.2}
            dashed
            checked={own}
            onChoose={() => set(own ? size : OWN_START)}
          />
        )}
      </div>
      {free && own && <CustomSize size={size ?? ""} onChange={set} invalid={isInvalid("size", findings)} />}
      <Findings id="size-findings" field="size" findings={findings} />
    </fieldset>
  );
}

/** The initial own size: none of the offered sizes, so that `Own` is shown as chosen. */
const OWN_START = "1200*1200";

interface ShapeProps {
  readonly label: string;
  readonly detail: string;
  /** Width over height. */
  readonly ratio: number;
  /** For a choice without a fixed shape. */
  readonly dashed?: boolean;
  readonly checked: boolean;
  readonly onChoose: () => void;
}

function Shape({ label, detail, ratio, dashed = false, checked, onChoose }: ShapeProps) {
  return (
    <label className={styles.choice}>
      <input type="radio" name="size" className="unseen" checked={checked} onChange={onChoose} />
      <span className={styles.box} aria-hidden="true">
        <span className={styles.shape} data-dashed={dashed || undefined} style={{ "--ratio": ratio }} />
      </span>
      <span className={styles.label}>{label}</span>
      <span className={styles.detail}>{detail}</span>
    </label>
  );
}
