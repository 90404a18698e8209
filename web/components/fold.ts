import { useState } from "react";

/**
 * Whether a fold is open. It opens by itself each time `reason` becomes another than null, and from then on is the person's to
 * close: what goes away meanwhile never shuts it under the hand that is in it.
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
