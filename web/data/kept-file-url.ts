import { useEffect, useState } from "react";
import { readFile } from "./file-store.ts";

/** An address to show a file from that this browser keeps; null until it is read, and when the browser has it no more. */
export function useKeptFileUrl(key: string | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (key === null) return;
    let left = false;
    let made: string | null = null;
    void readFile(key).then((file) => {
      if (left || file === null) return;
      made = URL.createObjectURL(file);
      setAddress(made);
    });
    return () => {
      left = true;
      if (made !== null) URL.revokeObjectURL(made);
      setAddress(null);
    };
  }, [key]);
  return address;
}
