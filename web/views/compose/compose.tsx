import { useEffect, useState } from "react";
import { Link } from "wouter";
import type { Limits, ModelInfo } from "../../../schemas/limits.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import { Button } from "../../components/button.tsx";
import { ChoiceGroup } from "../../components/choice-group.tsx";
import { focusField, passFocusOn } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { budget, refreshBudget } from "../../data/budget.ts";
import {
  bringBackDraft,
  changeDraft,
  draft as draftStore,
  draftsAside,
  forgetDraftAside,
} from "../../data/draft-store.ts";
import { reading } from "../../data/incoming-images.ts";
import { connection } from "../../data/live-feed.ts";
import { announce } from "../../data/notices.ts";
import { useForClient } from "../../data/operator.ts";
import { useServerNow } from "../../data/server-clock.ts";
import { useStore } from "../../data/store.ts";
import { checkDraft, type DraftField, type Finding } from "../../state/draft-check.ts";
import { type FailureWords, fieldOfPath } from "../../state/failure-words.ts";
import { keyed } from "../../state/keyed.ts";
import { CUT_OFF_OUTLOOK, laneOutlook, settingsWords } from "../../state/model-words.ts";
import { usedOf, usedSumWords } from "../../state/money-words.ts";
import { ClientField } from "./client-field.tsx";
import styles from "./compose.module.css";
import { CurlBox } from "./curl-box.tsx";
import { ModelChoice } from "./model-choice.tsx";
import { MoreOptions } from "./more-options.tsx";
import { PromptField } from "./prompt-field.tsx";
import { ReferenceImages } from "./reference-images.tsx";
import { Settings } from "./settings.tsx";
import { SizeAndCount } from "./size-and-count.tsx";
import { useSubmission } from "./submission.ts";

const WORKFLOW_CHOICES: readonly { readonly value: Workflow; readonly label: string }[] = [
  { value: "image-from-text", label: "From text" },
  { value: "image-from-reference", label: "From reference" },
];

const NO_CLIENT: Finding = { field: "client", level: "error", message: "Choose the client that the image is for." };

interface ComposeProps {
  readonly limits: Limits;
  readonly model: ModelInfo;
}

/** The form, with an outlook on when the job would start. The browser keeps its draft. */
export function Compose({ limits, model }: ComposeProps) {
  const draft = useStore(draftStore);
  const { refused, refuse } = useRefusals();
  const client = useForClient();
  const { failure, busy, taken, submit } = useSubmission(draft, model, client);
  const check = (submitting: boolean) => [
    ...(submitting && client === "" ? [NO_CLIENT] : []),
    ...checkDraft(draft, model, submitting),
  ];
  const findings = [...check(refused.field !== null), ...findingsOf(failure)];
  const isWrong = findings.some(({ level }) => level === "error");
  const lane = limits.lanes.find((report) => report.model === model.model);

  const isReading = useStore(reading) > 0;
  const press = () => {
    // Images that are still being read would be missing from the request.
    if (isReading) {
      announce(READING);
      return;
    }
    const wrong = check(true).find(({ level }) => level === "error");
    refuse(wrong?.field ?? null);
    if (wrong === undefined) void submit();
  };

  return (
    <form
      className={styles.compose}
      aria-label="New image"
      onSubmit={(event) => {
        event.preventDefault();
        press();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey)) return;
        event.preventDefault();
        press();
      }}
    >
      <div className={styles.fields}>
        <ChoiceGroup
          legend="Made from"
          hideLegend
          name="workflow"
          choices={WORKFLOW_CHOICES}
          value={draft.workflow}
          onChange={(workflow) => changeDraft({ type: "workflow", workflow })}
        />
        <PutAside />
        {client !== null && <ClientField client={client} findings={findings} />}
        <PromptField draft={draft} model={model} findings={findings} />
        {draft.workflow === "image-from-reference" && (
          <ReferenceImages draft={draft} model={model} findings={findings} />
        )}
        <Settings words={settingsWords(draft, model)} needed={isWrong ? refused.number : null}>
          <SizeAndCount draft={draft} model={model} findings={findings} />
          <ModelChoice draft={draft} model={model} models={limits.models} />
          <MoreOptions draft={draft} model={model} findings={findings} />
          <CurlBox draft={draft} model={model} />
        </Settings>
      </div>
      <footer className={styles.foot}>
        {failure !== null && <Failure failure={failure} />}
        <BudgetNote />
        <Button type="submit" look="main" busy={busy || isReading}>
          {isReading ? READING : busy ? "Sending…" : taken ? "In line" : "Develop"}
          {!busy && !isReading && !taken && <kbd className={styles.keys}>{SEND_KEYS}</kbd>}
        </Button>
        <Outlook lane={lane} />
      </footer>
    </form>
  );
}

const READING = "Reading the images…";

/** The keys that send the form from any of its fields; shown on the button. */
const SEND_KEYS = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘ Enter" : "Ctrl+Enter";

/** The drafts that were replaced and put aside, with a button to bring each back. */
function PutAside() {
  const drafts = useStore(draftsAside);
  const client = useForClient();
  if (drafts.length === 0) return null;
  return (
    <ul className={styles.asides} aria-label="Put aside">
      {drafts.map((aside, index) => {
        const words = aside.prompt.trim().slice(0, ASIDE_CHARS);
        const name = words === "" ? "a draft without words" : `“${words}”`;
        const isForAnother = client !== null && aside.client !== client && aside.client !== "";
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: two drafts may be equal, and neither has anything of its own to keep.
          <li key={index} className={styles.aside}>
            <p>
              Put aside: <bdi>{name}</bdi>
              {isForAnother && ` for ${aside.client}`}
            </p>
            <Button
              ref={passFocusOn}
              look="quiet"
              onClick={() => bringBackDraft(aside)}
              aria-label={`Bring back ${name}`}
            >
              Bring back
            </Button>
            <Button
              ref={passFocusOn}
              look="quiet"
              onClick={() => forgetDraftAside(aside)}
              aria-label={`Forget ${name}, which was put aside`}
            >
              <Icon name="close" />
            </Button>
          </li>
        );
      })}
    </ul>
  );
}

/** How much of a prompt names a draft. */
const ASIDE_CHARS = 60;

/** The presses that were refused before anything was sent. Each moves the focus to the field that caused it. */
function useRefusals() {
  const [refused, setRefused] = useState<{ readonly number: number; readonly field: DraftField | null }>({
    number: 0,
    field: null,
  });
  // In an effect, once the field is drawn: it may have been folded away.
  useEffect(() => {
    if (refused.field !== null) focusField(refused.field);
  }, [refused]);
  const refuse = (field: DraftField | null) => setRefused(({ number }) => ({ number: number + 1, field }));
  return { refused, refuse };
}

function findingsOf(failure: FailureWords | null): Finding[] {
  return (failure?.fields ?? []).flatMap(({ path, message }) => {
    const field = fieldOfPath(path);
    return field === null ? [] : [{ field, level: "error", message } as const];
  });
}

function Failure({ failure }: { readonly failure: FailureWords }) {
  const elsewhere = failure.fields.filter(({ path }) => fieldOfPath(path) === null);
  return (
    <div role="alert" className={styles.failure}>
      <p>
        <strong>{failure.title}.</strong> {failure.detail}
      </p>
      {keyed(elsewhere, ({ path, message }) => `${path}: ${message}`).map(({ key, item }) => (
        <p key={key}>
          {item.path}: {item.message}
        </p>
      ))}
      {failure.requestId !== null && <p className={styles.request}>Request {failure.requestId}</p>}
    </div>
  );
}

/** A note while most of the spend limit is used. */
function BudgetNote() {
  const known = useStore(budget);
  useEffect(() => void refreshBudget(), []);
  if (known === null || usedOf(known) < known.alertAt * known.limit) return null;
  return (
    <p className={styles.budget} role="status">
      <Icon name="failed" />
      <span>
        {`${usedSumWords(known)} of this month's spend limit. `}
        <Link href="/spend">See Spend</Link>
      </span>
    </p>
  );
}

function Outlook({ lane }: { readonly lane: Limits["lanes"][number] | undefined }) {
  const nowMs = useServerNow();
  const isCutOff = useStore(connection) === "reconnecting";
  // The last known state of the lane predicts nothing while the server cannot be reached.
  return <p className={styles.outlook}>{isCutOff ? CUT_OFF_OUTLOOK : laneOutlook(lane, nowMs)}</p>;
}
