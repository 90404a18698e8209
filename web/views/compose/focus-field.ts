import type { DraftField } from "../../state/draft-check.ts";

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
