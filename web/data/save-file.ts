/** How long the bytes of a saved file are kept: by then every browser has begun to save them. */
const KEEP_MS = 60_000;

/** Saves bytes under a name where the browser saves downloads. */
export function saveBlob(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEEP_MS);
}
