import { useEffect } from "react";
import { viewTitle } from "../components/focus.ts";
import { followLooks, unseen } from "../data/attention.ts";

const PLAIN = "/safelight.svg";
const WITH_NEWS = "/safelight-ready.svg";

/** Shows in the tab how many jobs ended since a person last looked: a count in its title, and a dot in its icon. */
export function useTabSign(): void {
  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    const show = () => {
      const count = unseen.get().size;
      document.title = count === 0 ? viewTitle.get() : `(${count}) ${viewTitle.get()}`;
      const address = count === 0 ? PLAIN : WITH_NEWS;
      if (icon !== null && !icon.href.endsWith(address)) icon.href = address;
    };
    show();
    const unsubscribes = [followLooks(), viewTitle.subscribe(show), unseen.subscribe(show)];
    return () => {
      for (const unsubscribe of unsubscribes) unsubscribe();
    };
  }, []);
}
