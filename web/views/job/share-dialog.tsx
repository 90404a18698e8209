import { Dialog } from "@base-ui/react/dialog";
import { useState } from "react";
import type { Share } from "../../../schemas/job.ts";
import { Button } from "../../components/button.tsx";
import { ChoiceGroup } from "../../components/choice-group.tsx";
import { CopyButton } from "../../components/copy-button.tsx";
import dialog from "../../components/dialog.module.css";
import field from "../../components/field.module.css";
import { isShutOut } from "../../data/access.ts";
import { darkroom } from "../../data/darkroom.ts";
import { failureWords } from "../../state/failure-words.ts";
import { clockWords, dateWords } from "../../state/time-words.ts";

const TIMES = [
  { value: 24, label: "1 day" },
  { value: 168, label: "1 week" },
  { value: 720, label: "30 days" },
] as const;

interface ShareDialogProps {
  readonly id: string;
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
}

/** Makes a link with which anyone may see the job until the link ends. */
export default function ShareDialog({ id, open, onOpenChange }: ShareDialogProps) {
  const [hours, setHours] = useState<number>(168);
  const [made, setMade] = useState<{ readonly share: Share; readonly hours: number } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    setProblem(null);
    try {
      setMade({ share: await darkroom.share(id, hours), hours });
    } catch (error) {
      const { title, detail } = failureWords(error);
      if (!(await isShutOut(error))) setProblem(`${title}. ${detail}`);
    }
    setBusy(false);
  };
  // A link that arrives late, or was made before, may end at another time than the one that is chosen now.
  const share = made?.hours === hours ? made.share : null;
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className={dialog.backdrop} />
        <Dialog.Popup className={dialog.popup}>
          <Dialog.Title className={dialog.title}>Share this job</Dialog.Title>
          <Dialog.Description className={dialog.text}>
            Whoever has the link sees the images, the prompt and its settings, without signing in, until it ends. Only
            deleting the job takes it back earlier.
          </Dialog.Description>
          <ChoiceGroup legend="Ends after" name="share-time" choices={TIMES} value={hours} onChange={setHours} />
          {share !== null && (
            <div className={field.field}>
              <label htmlFor="share-link" className={field.label}>
                {`Until ${dateWords(Date.parse(share.expiresAt))}, ${clockWords(Date.parse(share.expiresAt))}`}
              </label>
              <input
                id="share-link"
                className={field.control}
                readOnly
                value={share.url}
                onFocus={({ target }) => target.select()}
              />
            </div>
          )}
          <p role="alert" className={field.error}>
            {problem}
          </p>
          <div className={dialog.actions}>
            <Dialog.Close render={<Button />}>Close</Dialog.Close>
            {share === null ? (
              <Button look="main" busy={busy} onClick={make}>
                Make a link
              </Button>
            ) : (
              <CopyButton
                look="main"
                text={share.url}
                label="Copy link"
                done="Link copied. Anyone can open it until it ends"
              />
            )}
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
