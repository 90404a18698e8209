import { ChoiceGroup } from "../../components/choice-group.tsx";
import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark, passFocusOn } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { changeDraft } from "../../data/draft-store.ts";
import { type Draft, extendModesOf } from "../../state/draft.ts";
import type { FieldProps } from "./field-props.ts";
import styles from "./more-options.module.css";

const CHOICES = [
  { value: "auto", label: "Model's choice" },
  { value: "on", label: "On" },
  { value: "off", label: "Off" },
] as const;

function choiceOf(value: boolean | null): (typeof CHOICES)[number]["value"] {
  if (value === null) return "auto";
  return value ? "on" : "off";
}

const MODES = [
  { value: "auto", label: "Model's choice" },
  { value: "direct", label: "Direct" },
  { value: "agent", label: "Agent" },
] as const;

const PRIORITIES = [
  { value: "high", label: "High" },
  { value: "normal", label: "Normal" },
  { value: "low", label: "Low" },
] as const;

/** The options that are folded away: options of the model, of the queue, and the metadata of a repeated job. */
export default function MoreFields({ draft, model, findings }: FieldProps) {
  const set = (change: Partial<Omit<Draft, "workflow" | "model" | "images">>) => changeDraft({ type: "set", change });
  const { supports } = model;
  const modes = extendModesOf(draft.workflow);
  return (
    <div className={styles.fields}>
      {supports.negativePrompt && (
        <div className={field.field} {...fieldMark("negativePrompt")}>
          <label htmlFor="negative-prompt" className={field.label}>
            Negative prompt: what must not be there
          </label>
          <textarea
            id="negative-prompt"
            dir="auto"
            className={field.control}
            rows={2}
            value={draft.negativePrompt}
            onChange={({ target }) => set({ negativePrompt: target.value })}
            aria-describedby="negative-findings"
            aria-invalid={isInvalid("negativePrompt", findings)}
            placeholder="blurry, text, watermark"
          />
          <Findings id="negative-findings" field="negativePrompt" findings={findings} />
        </div>
      )}
      {supports.promptExtend && (
        <ChoiceGroup
          legend="Let the model enrich the prompt"
          name="extend"
          choices={CHOICES}
          value={choiceOf(draft.promptExtend)}
          onChange={(value) => set({ promptExtend: value === "auto" ? null : value === "on" })}
        />
      )}
      {supports.promptExtendMode && draft.promptExtend !== false && (
        <ChoiceGroup
          legend="How it is enriched"
          name="extend-mode"
          choices={MODES.filter(({ value }) => value === "auto" || modes.includes(value))}
          value={modes.find((mode) => mode === draft.promptExtendMode) ?? "auto"}
          onChange={(value) => set({ promptExtendMode: value === "auto" ? null : value })}
        />
      )}
      {supports.thinking && (
        <ChoiceGroup
          legend="Plan before drawing"
          name="thinking"
          choices={CHOICES}
          value={choiceOf(draft.thinking)}
          onChange={(value) => set({ thinking: value === "auto" ? null : value === "on" })}
        />
      )}
      <ChoiceGroup
        legend="Priority in the line"
        name="priority"
        choices={PRIORITIES}
        value={draft.priority}
        onChange={(priority) => set({ priority })}
      />
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={draft.onUncertain === "retry"}
          onChange={({ target }) => set({ onUncertain: target.checked ? "retry" : "fail" })}
        />
        <span>
          Try again when an attempt ends without an answer
          <small>Such an attempt may have been charged; without this the job fails instead.</small>
        </span>
      </label>
      {supports.watermark && (
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={draft.watermark}
            onChange={({ target }) => set({ watermark: target.checked })}
          />
          <span>Visible watermark of the model</span>
        </label>
      )}
      <div className={styles.pair}>
        <div className={field.field} {...fieldMark("maxAttempts")}>
          <label htmlFor="max-attempts" className={field.label}>
            Attempts at most
          </label>
          <input
            id="max-attempts"
            className={field.control}
            inputMode="numeric"
            autoComplete="off"
            placeholder="usual"
            value={draft.maxAttempts}
            onChange={({ target }) => set({ maxAttempts: target.value })}
            aria-describedby="attempts-findings"
            aria-invalid={isInvalid("maxAttempts", findings)}
          />
        </div>
        <div className={field.field} {...fieldMark("deadlineSeconds")}>
          <label htmlFor="deadline" className={field.label}>
            Give up after, minutes
          </label>
          <input
            id="deadline"
            className={field.control}
            inputMode="decimal"
            autoComplete="off"
            placeholder="usual"
            value={draft.deadline}
            onChange={({ target }) => set({ deadline: target.value })}
            aria-describedby="deadline-findings"
            aria-invalid={isInvalid("deadlineSeconds", findings)}
          />
        </div>
      </div>
      <Findings id="attempts-findings" field="maxAttempts" findings={findings} />
      <Findings id="deadline-findings" field="deadlineSeconds" findings={findings} />
      <Metadata metadata={draft.metadata} onChange={(metadata) => set({ metadata })} />
    </div>
  );
}

interface MetadataProps {
  readonly metadata: Draft["metadata"];
  readonly onChange: (metadata: Draft["metadata"]) => void;
}

/** The metadata of a repeated job; it is sent unless the person removes it. */
function Metadata({ metadata, onChange }: MetadataProps) {
  const entries = Object.entries(metadata);
  if (entries.length === 0) return null;
  return (
    <div data-region>
      <p className={field.label} tabIndex={-1} data-heir>
        Metadata
      </p>
      <ul className={styles.metadata}>
        {entries.map(([key, value]) => (
          <li key={key}>
            <span>
              {key}: <bdi>{String(value)}</bdi>
            </span>
            <button
              ref={passFocusOn}
              type="button"
              aria-label={`Leave out ${key}`}
              title="Leave out"
              onClick={() => onChange(Object.fromEntries(entries.filter(([other]) => other !== key)))}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
