/** The shapes of DashScope's ids and times. Pure: bytes and times are passed in. */

const DAY_MS = 86_400_000;
/** The vendor's time zone. */
const UTC8_MS = 8 * 3_600_000;

function uuid(bytes: Uint8Array, version: number): string {
  if (bytes.length < 16) throw new Error(`uuid: needs 16 bytes, got ${bytes.length}`);
  const hex = Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Like `5795d646-7395-91d2-85d7-34d8b99a3d8d`: recorded request ids carry a 9 where a UUID has its version. */
export function requestIdOf(bytes: Uint8Array): string {
  return uuid(bytes, 9);
}

/** Task ids are ordinary random UUIDs. */
export function taskIdOf(bytes: Uint8Array): string {
  return uuid(bytes, 4);
}

/** `2024-03-01 17:38:24.817`, in UTC+8. */
export function wireTime(atMs: number): string {
  return new Date(atMs + UTC8_MS).toISOString().slice(0, 23).replace("T", " ");
}

/** `20240301`, in UTC+8: the folder of a result. */
export function wireDay(atMs: number): string {
  return new Date(atMs + UTC8_MS).toISOString().slice(0, 10).replaceAll("-", "");
}

/** Reads `YYYYMMDDhhmmss` in UTC+8, the format of the list of tasks; null for any other text. */
export function parseWireStamp(text: string): number | null {
  const parts = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$/.exec(text);
  if (parts === null) return null;
  const [, year, month, day, hour, minute, second] = parts;
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}+08:00`);
  return Number.isNaN(atMs) ? null : atMs;
}

/** Result links of the older family are valid for 7 days and 999 s (recorded), those of 3.0 and wan for a day. */
export const OLDER_LINK_MS = 7 * DAY_MS + 999_000;
export const NEWER_LINK_MS = DAY_MS;

export type ResultNaming = "older" | "numbered" | "serving";

/**
 * A result's path: `/7d/93/20260611/d23adf3d/{request id}{seed}.png` for `max`, `…-1.png` for edits and legacy tasks,
 * `…_qwen_image3_serving_output_0.png` for 3.0. `hash` spreads the folders; `index` counts from 0.
 */
export function resultPath(
  naming: ResultNaming,
  requestId: string,
  index: number,
  seed: number,
  atMs: number,
  hash: number,
): string {
  const hex = hash.toString(16).padStart(8, "0");
  const folder = `/${hex.slice(0, 2)}/${hex.slice(2, 4)}/${wireDay(atMs)}/${requestId.slice(0, 8)}`;
  switch (naming) {
    case "older":
      return index === 0 ? `${folder}/${requestId}${seed}.png` : `${folder}/${requestId}${seed}_${index}.png`;
    case "numbered":
      return `${folder}/${requestId}-${index + 1}.png`;
    case "serving":
      return `${folder}/${requestId}_qwen_image3_serving_output_${index}.png`;
  }
}
