import type { MouseEvent, ReactNode } from "react";
import { saveImage } from "../data/job-actions.ts";
import { ButtonLink, type ButtonLook } from "./button.tsx";

interface DownloadLinkProps {
  readonly url: string;
  readonly fileName: string;
  readonly look: ButtonLook;
  /** Where the visible words do not say which image. */
  readonly label?: string;
  readonly children: ReactNode;
}

/** Saves an image; still a link, so that it can be opened or copied as one. */
export function DownloadLink({ url, fileName, look, label, children }: DownloadLinkProps) {
  const save = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    void saveImage(url, fileName);
  };
  return (
    <ButtonLink look={look} href={url} download={fileName} aria-label={label} onClick={save}>
      {children}
    </ButtonLink>
  );
}
