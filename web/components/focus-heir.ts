/**
 * A `ref` for a control that goes by itself when a job goes on. Should it have the focus then, the focus does not fall to the
 * page: it passes to the nearest thing that carries `data-heir`, in its own article or else in the view.
 */
export function passFocusOn(control: HTMLElement | null): (() => void) | undefined {
  if (control === null) return;
  return () => {
    if (document.activeElement !== control) return;
    const places = [control.closest("article"), control.closest("main")];
    const heirs = places.map((place) => place?.querySelector<HTMLElement>("[data-heir]"));
    // Only when all of this change is drawn is it known who is still there.
    queueMicrotask(() => heirs.find((heir) => heir?.isConnected)?.focus());
  };
}
