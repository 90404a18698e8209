import type { ListedJob } from "./listed-job.ts";
import { toneOf } from "./standing.ts";

/** As much of a prompt as tells jobs apart when it is read aloud. */
const SPOKEN_PROMPT_CHARS = 40;

/** What to tell a screen reader when a job went from one state to another; null when it is not worth a word. */
export function announcementOf(before: ListedJob | undefined, after: ListedJob): string | null {
  if (before === undefined || before.seq >= after.seq) return null;
  const tone = toneOf(after);
  if (toneOf(before) === tone) return null;
  const name = `“${spokenPrompt(after.prompt)}”`;
  switch (tone) {
    case "waiting":
      return before.done ? `${name} is in line again` : null;
    case "running":
      return `${name} is developing`;
    case "retrying":
      return `${name}: an attempt failed, another follows`;
    case "blocked":
      return `${name} is on hold. ${after.queue?.detail.replaceAll("`", "") ?? ""}`.trim();
    case "ready":
      return `${name} is ready`;
    case "failed":
      return `${name} failed. ${after.error?.message ?? ""}`.trim();
    case "canceled":
      return `${name} was canceled`;
  }
}

function spokenPrompt(prompt: string): string {
  const chars = [...prompt.replace(/\s+/g, " ").trim()];
  return chars.length <= SPOKEN_PROMPT_CHARS ? chars.join("") : `${chars.slice(0, SPOKEN_PROMPT_CHARS).join("")}…`;
}
