/**
 * The one range of a `Range` header over `size` bytes. Null: send everything (no range, several, another unit, or not
 * readable: RFC 9110 lets a server ignore them all). `not_satisfiable`: it begins past the end.
 */
export function byteRange(
  header: string | null,
  size: number,
): { readonly offset: number; readonly length: number } | "not_satisfiable" | null {
  const match = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header?.trim() ?? "");
  const [, from = "", to = ""] = match ?? [];
  if (from === "" && to === "") return null;
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "not_satisfiable" : { offset: size - length, length };
  }
  const offset = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < offset) return null;
  return offset >= size ? "not_satisfiable" : { offset, length: last - offset + 1 };
}
