import type { ReactNode } from "react";
import { paths } from "../../schemas/paths.ts";
import { ButtonLink, type ButtonLook } from "./button.tsx";

interface DownloadLinkProps {
  readonly jobId: string;
  readonly index: number;
  readonly look: ButtonLook;
  /** Where the visible words do not say which image. */
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
