import { useEffect, useRef } from "react";
import { createStore } from "../data/store.ts";
import type { DraftField } from "../state/draft-check.ts";

let firstView = true;

/** The view's part of the tab's title. `useTabSign` puts the count of unseen jobs before it. */
export const viewTitle = createStore("Darkroom");

const addressNow = () => location.pathname + location.search;

let address = addressNow();

/** How often the address has changed. */
let moves = 0;

// The router sends the last two.
for (const name of ["popstate", "pushState", "replaceState"]) {
  addEventListener(name, () => {
    if (address !== addressNow()) moves += 1;
    address = addressNow();
  });
}

/**
 * Notes the current address. The returned function says later whether the person has stayed there, so that a late answer does not
 * lead them away from another view, nor from this one once they have come back to it.
 */
export function markPlace(): () => boolean {
  const before = moves;
  return () => moves === before;
}

/**
 * For a view's heading: sets the tab's title, and takes the focus when the person came from another view, so that screen readers
 * follow. Below an open dialog it does not move the focus: the keys of the viewer would go to the page behind it.
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
 * the nearest element with `data-heir` in its article, region or view, and is not lost to the page.
 */
export function passFocusOn(control: HTMLElement | null): (() => void) | undefined {
  if (control === null) return;
  return () => {
    if (document.activeElement !== control) return;
    const places = ["article", "[data-region]", "main"].map((place) => control.closest(place));
    const heirs = places.map((place) => place?.querySelector<HTMLElement>("[data-heir]"));
    // Deferred until the whole change is drawn, when it is known which heirs remain.
    queueMicrotask(() => heirs.find((heir) => heir?.isConnected)?.focus());
  };
}

/** Marks the element that holds a field's controls. */
export function fieldMark(field: DraftField) {
  return { "data-field": field };
}

/** In order of preference: the control that is wrong, the chosen radio button, any control. */
const CONTROLS = ['[aria-invalid="true"]', "input:checked", "textarea, select, button, input:not([hidden])"];

/** Moves the focus to the control where a field can be corrected. */
export function focusField(field: DraftField): void {
  const holder = document.querySelector(`[data-field="${field}"]`);
  const found = CONTROLS.map((controls) => holder?.querySelector<HTMLElement>(controls) ?? null);
  found.find((control) => control !== null)?.focus();
}
