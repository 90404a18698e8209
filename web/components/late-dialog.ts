import { type ComponentType, useState } from "react";
import { notify } from "../data/notices.ts";

/**
 * A dialog whose code is loaded when it is first asked for. `ask` opens it and never rejects: what cannot be loaded (there is
 * no network, or a newer page has taken the place of this one) stays closed, and the person is told what to do.
 */
export function useLateDialog<Props>(load: () => Promise<{ readonly default: ComponentType<Props> }>) {
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [Dialog, setDialog] = useState<ComponentType<Props> | null>(null);
  const ask = async () => {
    if (busy) return;
    setBusy(true);
    try {
      const { default: Loaded } = await load();
      setDialog(() => Loaded);
      setOpen(true);
    } catch {
      notify("failed", MISSING_PART);
    } finally {
      setBusy(false);
    }
  };
  return { Dialog, open, setOpen, busy, ask };
}

// Browsers keep that an import has failed for as long as the page is open, so that nothing but loading it again helps.
const MISSING_PART =
  "A part of the page could not be loaded. Load the page again once the network is there; the form keeps what is in it";
