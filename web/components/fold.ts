import { useState } from "react";

/**
 * Whether a fold is open. It opens by itself each time `reason` changes to a value other than null. Only the person closes it: it
 * stays open when the reason is gone.
 */
export function useFold(reason: string | number | null, openAtFirst = false) {
  const [open, setOpen] = useState(openAtFirst || reason !== null);
  const [known, setKnown] = useState(reason);
  if (reason !== known) {
    setKnown(reason);
    if (reason !== null) setOpen(true);
  }
  return [open, setOpen] as const;
}
