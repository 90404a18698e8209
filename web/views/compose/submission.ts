import { useEffect, useRef, useState } from "react";
import type { Job } from "../../../schemas/job.ts";
import type { ModelInfo } from "../../../schemas/limits.ts";
import { isShutOut } from "../../data/access.ts";
import { announce, notify } from "../../data/notices.ts";
import { submitDraft, useIsSending } from "../../data/submissions.ts";
import type { Draft } from "../../state/draft.ts";
import { type FailureWords, failureWords } from "../../state/failure-words.ts";
import { SAME_PRESS_MS } from "../../state/submission-key.ts";

/** How much of a prompt names a submission in a notice. */
const NAMED_CHARS = 40;

/** Sends drafts. The form shows the outcome of the last press; a notice that names the draft shows a failure of an earlier press. */
export function useSubmission(draft: Draft, model: ModelInfo, client: string | null) {
  const [failure, setFailure] = useState<FailureWords | null>(null);
  /** The job that the last press put in line; null once another press would make another job. */
  const [taken, setTaken] = useState<Job | null>(null);
  const lastPress = useRef<object | null>(null);
  const busy = useIsSending(draft, model, client);

  useEffect(() => {
    if (taken === null) return;
    const timer = setTimeout(() => setTaken(null), SAME_PRESS_MS);
    return () => clearTimeout(timer);
  }, [taken]);
  useEffect(() => {
    return () => {
      lastPress.current = null;
    };
  }, []);

  const submit = async () => {
    const press = {};
    lastPress.current = press;
    setFailure(null);
    try {
      const job = await submitDraft(draft, model, client);
      announce("In line");
      // A repeated press that makes no new job does not extend the 2 s in which a press repeats the last one.
      if (lastPress.current === press) setTaken((last) => (last?.id === job.id ? last : job));
    } catch (error) {
      if (await isShutOut(error)) return;
      const words = failureWords(error);
      if (lastPress.current === press) setFailure(words);
      else
        notify(
          "failed",
          `“${draft.prompt.trim().slice(0, NAMED_CHARS)}” was not sent. ${words.title}. ${words.detail}`,
        );
    }
  };
  return { failure, busy, taken: taken !== null, submit };
}
