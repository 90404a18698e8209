import { type ComponentType, useEffect, useState } from "react";
import { notify } from "../data/notices.ts";

type Load<Props> = () => Promise<{ readonly default: ComponentType<Props> }>;

/**
 * A dialog whose code is loaded when it is first opened. `ask` opens it and never rejects: a dialog that cannot be loaded (there
 * is no network, or a newer version of the page was deployed) stays closed, and the person is notified what to do.
 */
export function useLateDialog<Props>(load: Load<Props>) {
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

/** Views that were loaded, by the function that loads them. */
const loadedViews = new Map<unknown, unknown>();

/** A view whose code is loaded with its first use; null until it is loaded. */
export function useLateView<Props>(load: Load<Props>): ComponentType<Props> | null {
  // Safe: the view is kept under the function that loads it, so it has that type.
  const [View, setView] = useState(() => (loadedViews.get(load) as ComponentType<Props> | undefined) ?? null);
  useEffect(() => {
    let left = false;
    load().then(
      ({ default: Loaded }) => {
        loadedViews.set(load, Loaded);
        if (!left) setView(() => Loaded);
      },
      () => left || notify("failed", MISSING_PART),
    );
    return () => {
      left = true;
    };
  }, [load]);
  return View;
}

// Browsers remember a failed import while the page is open, so only loading the page again helps.
export const MISSING_PART =
  "A part of the page could not be loaded. Load the page again once the network is there; the form keeps what is in it";
