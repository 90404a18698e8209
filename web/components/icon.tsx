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
  image: "M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 4M13 8v.01",
  dice: "M4 4h12v12H4zM7.5 7.5v.01M12.5 7.5v.01M10 10v.01M7.5 12.5v.01M12.5 12.5v.01",
} as const;

export type IconName = keyof typeof SHAPES;

/** Beside words that say the same, so hidden from screen readers. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className={styles.icon} viewBox="0 0 20 20" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}
