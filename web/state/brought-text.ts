/**
 * Whether text that came along with files is what someone wants to have pasted. Pure. Spreadsheets and slides bring a picture of
 * their text; file managers bring the names or paths of the files as text.
 */
export function isMeantAsText(text: string, fileNames: readonly string[]): boolean {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  return lines.some((line) => !fileNames.includes(lastStep(line.trim())));
}

/** The last step of a path or `file:` address; of any other text the whole. */
function lastStep(line: string): string {
  const isAddress = line.startsWith("file://");
  const step = isAddress || /^(\/|[a-z]:\\)/i.test(line) ? (line.split(/[/\\]/).at(-1) ?? line) : line;
  if (!isAddress) return step;
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
