import styles from "./icon.module.css";

/** Drawn on a 20 by 20 grid with round strokes. */
const SHAPES = {
  waiting: "M10 5.5V10l3 2M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15Z",
  running: "M10 2.5a7.5 7.5 0 1 0 7.5 7.5M10 6.5a3.5 3.5 0 1 0 3.5 3.5",
  retrying: "M16.5 8A7 7 0 1 0 17 11.5M16.8 3.5V8h-4.5",
  blocked: "M7.5 6.5v7M12.5 6.5v7M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15Z",
  ready: "M4 10.5l4 4 8-9",
  failed: "M10 6v5M10 14v.01M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15Z",
  canceled: "M4.8 4.8l10.4 10.4M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15Z",
  download: "M10 3v9m-3.5-3.5L10 12l3.5-3.5M3.5 16.5h13",
  link: "M8.5 11.5a3 3 0 0 0 4.3 0l3-3a3 3 0 0 0-4.3-4.3l-1 1M11.5 8.5a3 3 0 0 0-4.3 0l-3 3a3 3 0 0 0 4.3 4.3l1-1",
  copy: "M7.5 7.5h8v9h-8zM12.5 7.5v-4h-8v9h3",
  close: "M5 5l10 10M15 5L5 15",
  trash: "M3.5 5.5h13M8 5.5v-2h4v2M5.5 5.5l.7 11h7.6l.7-11",
  again: "M3.5 8A7 7 0 1 1 3 11.5M3.2 3.5V8h4.5",
  edit: "M4 16l.8-3.6L13.4 3.8l2.8 2.8-8.6 8.6L4 16Z",
  add: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  zoom: "M9 3.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11ZM13 13l4 4M9 6.5v5M6.5 9h5",
  back: "M12 4l-6 6 6 6",
  forth: "M8 4l6 6-6 6",
  search: "M9 3.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11ZM13 13l4 4",
  filter: "M3 5h14M5.5 10h9M8 15h4",
  cards: "M3.5 3.5h13v9h-13zM3.5 16h8",
  small: "M3.5 3.5h5v5h-5zM11.5 3.5h5v5h-5zM3.5 11.5h5v5h-5zM11.5 11.5h5v5h-5z",
  bare: "M3.5 3.5h13v13h-13zM7.8 3.5v13M12.2 3.5v13M3.5 7.8h13M3.5 12.2h13",
  repeat:
    "M4 9V7.5a2.5 2.5 0 0 1 2.5-2.5H16M13.5 2.5 16 5l-2.5 2.5M16 11v1.5a2.5 2.5 0 0 1-2.5 2.5H4M6.5 12.5 4 15l2.5 2.5",
  pin: "M6.5 3h7M8 3v5.5L5 12h10l-3-3.5V3M10 12v5.5",
  bell: "M5 14.5V9a5 5 0 0 1 10 0v5.5M3.5 14.5h13M8.5 17.5h3",
  bellOff: "M5 14.5V9c0-.7.1-1.4.4-2M7.3 4.8A5 5 0 0 1 15 9v3M3.5 14.5h10M8.5 17.5h3M3 3l14 14",
  share: "M10 12V3m-3 3 3-3 3 3M4.5 10v6.5h11V10",
  leave: "M8 3.5H4v13h4M12.5 6.5 16 10l-3.5 3.5M16 10H8",
  image: "M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 4M13 8v.01",
  dice: "M4 4h12v12H4zM7.5 7.5v.01M12.5 7.5v.01M10 10v.01M7.5 12.5v.01M12.5 12.5v.01",
} as const;

export type IconName = keyof typeof SHAPES;

/** Hidden from screen readers, because the words beside it say the same. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className={styles.icon} viewBox="0 0 20 20" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}

/** The logo: a safelight. */
export function Mark() {
  return (
    <svg className={styles.mark} viewBox="0 0 32 32" aria-hidden="true">
      <rect className={styles.case} width="32" height="32" rx="8" />
      <path className={styles.cord} d="M16 4v5" />
      <circle className={styles.glow} cx="16" cy="18" r="11" />
      <circle className={styles.bulb} cx="16" cy="18" r="7.5" />
    </svg>
  );
}
