import { useEffect, useEffectEvent, useRef, useState } from "react";
import { addressOf, filesOf, PRINT_DATA, printOf, takeFiles, takeImages, takePrint } from "../data/incoming-images.ts";
import { isMeantAsText } from "../state/draft.ts";

/** What is dragged over the page: a print of this page, or images from elsewhere. */
export type Dragged = "print" | "images";

/**
 * Takes images that are pasted or dropped anywhere on the page as references of the draft: `max` at most. A print of the page
 * itself is taken only within `[data-reference-zone]`, because elsewhere a drag is probably an accident. The browser handles text
 * for a field: text that is dragged, or pasted with a picture of itself. Returns what is dragged over the page now.
 */
export function useImageIntake(max: number): Dragged | null {
  const [dragged, setDragged] = useState<Dragged | null>(null);
  const isOwn = useRef(false);

  const onPaste = useEffectEvent((event: ClipboardEvent) => {
    const files = filesOf(event.clipboardData);
    if (files.length === 0) return;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const names = files.map(({ name }) => name);
    if (takesText(event.target) && isMeantAsText(text, names)) return;
    event.preventDefault();
    void takeFiles(files, max);
  });

  const onDrag = useEffectEvent((event: DragEvent) => {
    const brought = broughtBy(event, isOwn.current);
    if (brought === null) return;
    // The browser allows a drop where its own handling is prevented.
    event.preventDefault();
    setDragged(brought);
  });

  const onLeave = useEffectEvent((event: DragEvent) => {
    // `relatedTarget` is the next element of the page, and null outside of the window.
    if (event.relatedTarget === null) setDragged(null);
  });

  const onDrop = useEffectEvent((event: DragEvent) => {
    setDragged(null);
    const { dataTransfer, target } = event;
    if (broughtBy(event, isOwn.current) === null) return;
    event.preventDefault();
    const print = printOf(dataTransfer);
    if (print !== null) {
      const isInZone = target instanceof Element && target.closest("[data-reference-zone]") !== null;
      if (isInZone) void takePrint(print, max);
      return;
    }
    const files = [...(dataTransfer?.files ?? [])];
    const url = files.length === 0 ? addressOf(dataTransfer) : null;
    if (url !== null) takeImages([{ kind: "url", url }], max);
    else void takeFiles(files, max);
  });

  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    document.addEventListener("paste", (event) => onPaste(event), { signal });
    document.addEventListener("dragenter", (event) => onDrag(event), { signal });
    document.addEventListener("dragover", (event) => onDrag(event), { signal });
    document.addEventListener("dragleave", (event) => onLeave(event), { signal });
    const onOwnDrag = (isUnderWay: boolean) => {
      isOwn.current = isUnderWay;
      setDragged(null);
    };
    document.addEventListener("dragstart", () => onOwnDrag(true), { signal });
    document.addEventListener("dragend", () => onOwnDrag(false), { signal });
    document.addEventListener("drop", (event) => onDrop(event), { signal });
    return () => leaving.abort();
  }, []);

  return dragged;
}

/**
 * What the page takes from a drag; null for text and for unknown types. From a drag that begins on the page (`isOwn`) it takes only
 * prints, because a dragged link has the address of a page.
 */
function broughtBy({ dataTransfer }: DragEvent, isOwn: boolean): Dragged | null {
  const types = dataTransfer?.types ?? [];
  if (types.includes(PRINT_DATA)) return "print";
  return !isOwn && (types.includes("Files") || types.includes("text/uri-list")) ? "images" : null;
}

function takesText(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches(":read-write");
}
