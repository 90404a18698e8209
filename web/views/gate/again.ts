import { useEffect } from "react";
import { checkAccess } from "../../data/access.ts";

/** While the gate is shut, how often it is tried. */
const AGAIN_MS = 5_000;

/** Tries the gate now and then, so that the page opens by itself once things are mended. */
export function useGateAgain(): void {
  useEffect(() => {
    const timer = setInterval(() => void checkAccess(), AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
}
