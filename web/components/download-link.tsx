import type { ReactNode } from "react";
import { paths } from "../../schemas/paths.ts";
import { ButtonLink, type ButtonLook } from "./button.tsx";

interface DownloadLinkProps {
  readonly jobId: string;
  readonly index: number;
  readonly look: ButtonLook;
  /** Names the image for screen readers, where the visible words do not. */
  readonly label?: string;
  readonly children: ReactNode;
}

/** Saves the original of an image, under the name that the server gives it. */
export function DownloadLink({ jobId, index, look, label, children }: DownloadLinkProps) {
  return (
    <ButtonLink look={look} href={paths.jobImage(jobId, index)} download="" aria-label={label} title={label}>
      {children}
    </ButtonLink>
  );
}
