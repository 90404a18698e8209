import { type DragEvent, useEffect } from "react";
import { type DropzoneRootProps, useDropzone } from "react-dropzone";
import { addressOf, filesOf, takeFiles, takeImages } from "../data/incoming-images.ts";
import { isMeantAsText } from "../state/draft.ts";

/**
 * Takes images that are pasted anywhere, or dropped on the element that gets the root props, as references of the draft: `max` at
 * most. Text that someone brings to a field stays the browser's: pasted beside a picture of itself, or dragged.
 */
export function useImageIntake(max: number) {
  useEffect(() => {
    const onPaste = (event: ClipboardEvent) => {
      const files = filesOf(event.clipboardData);
      if (files.length === 0) return;
      const text = event.clipboardData?.getData("text/plain") ?? "";
      const names = files.map(({ name }) => name);
      if (takesText(event.target) && isMeantAsText(text, names)) return;
      event.preventDefault();
      void takeFiles(files, max);
    };
    document.addEventListener("paste", onPaste);
    return () => document.removeEventListener("paste", onPaste);
  }, [max]);

  const { getRootProps, isDragActive } = useDropzone({
    noClick: true,
    noKeyboard: true,
    // Its own takes files only while the focus is inside, and all of them a second time.
    noPaste: true,
    onDrop: (files) => void takeFiles(files, max),
  });

  return {
    isDragActive,
    getRootProps: (props: DropzoneRootProps) =>
      getRootProps({
        ...props,
        onDragEnter: leaveText,
        onDragOver: leaveText,
        onDragLeave: leaveText,
        onDrop: (event: DragEvent) => {
          leaveText(event);
          const { dataTransfer } = event;
          const url = dataTransfer.files.length === 0 ? addressOf(dataTransfer) : null;
          if (url !== null) takeImages([{ kind: "url", url }], max);
        },
      }),
  };
}

/** The drop zone prevents what the browser does with every drag; one that is stopped it does not see. */
function leaveText(event: DragEvent): void {
  const { types } = event.dataTransfer;
  const bringsImages = types.includes("Files") || types.includes("text/uri-list");
  if (!bringsImages && takesText(event.target)) event.stopPropagation();
}

function takesText(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches(":read-write");
}
