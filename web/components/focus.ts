import { useEffect, useRef } from "react";
import { createStore } from "../data/store.ts";
import type { DraftField } from "../state/draft-check.ts";

let firstView = true;

/** The words of the tab's title: those of the view. `useTabSign` puts the count of unseen jobs before them. */
export const viewTitle = createStore("Darkroom");

/**
 * Notes where the person is now. The answer says later whether they are still there: what comes late must not lead anyone away
 * from where they have gone meanwhile.
 */
export function markPlace(): () => boolean {
  const { pathname, search } = location;
  return () => location.pathname === pathname && location.search === search;
}

/**
 * For a view's heading: the tab's title, and the focus when one came here from another view, so that screen readers follow. Below
 * an open dialog it leaves the focus alone: the keys of the viewer would go to the page behind it.
 */
export function useArrival(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    viewTitle.set(title === "" ? "Darkroom" : `${title} · Darkroom`);
  }, [title]);
  useEffect(() => {
    const isCovered = document.querySelector("[role=dialog][data-open]") !== null;
    if (!firstView && !isCovered) heading.current?.focus({ preventScroll: true });
    firstView = false;
  }, []);
  return heading;
}

/**
 * A `ref` for a control that is removed when a job changes or a message is closed. If it has the focus then, the focus passes to
 * the nearest element that carries `data-heir`, in its own article, region or view, and does not fall to the page.
 */
export function passFocusOn(control: HTMLElement | null): (() => void) | undefined {
  if (control === null) return;
  return () => {
    if (document.activeElement !== control) return;
    const places = ["article", "[data-region]", "main"].map((place) => control.closest(place));
    const heirs = places.map((place) => place?.querySelector<HTMLElement>("[data-heir]"));
    // Only when all of this change is drawn is it known what is still there.
    queueMicrotask(() => heirs.find((heir) => heir?.isConnected)?.focus());
  };
}

/** Marks the element that holds a field's controls. */
export function fieldMark(field: DraftField) {
  return { "data-field": field };
}

/** In order of preference: the control that is wrong, the choice that is made, whatever can be used. */
const CONTROLS = ['[aria-invalid="true"]', "input:checked", "textarea, select, button, input:not([hidden])"];

/** Puts the focus where a field can be mended, whichever of its controls are drawn. */
export function focusField(field: DraftField): void {
  const holder = document.querySelector(`[data-field="${field}"]`);
  const found = CONTROLS.map((controls) => holder?.querySelector<HTMLElement>(controls) ?? null);
  found.find((control) => control !== null)?.focus();
}
