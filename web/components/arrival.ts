import { useEffect, useRef } from "react";

let firstView = true;

/** For a view's heading: the tab's title, and the focus when one came here from another view, so that screen readers follow. */
export function useArrival(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = title === "" ? "Darkroom" : `${title} · Darkroom`;
  }, [title]);
  useEffect(() => {
    if (!firstView) heading.current?.focus({ preventScroll: true });
    firstView = false;
  }, []);
  return heading;
}
