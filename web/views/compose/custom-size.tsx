import { useState } from "react";
import field from "../../components/field.module.css";
import { sidesOf } from "../../state/sizes.ts";
import styles from "./custom-size.module.css";

interface CustomSizeProps {
  readonly size: string;
  readonly invalid: boolean;
  readonly onChange: (size: string) => void;
}

/** Two sides in pixels, as typed; problems are shown beneath. */
export function CustomSize({ size, invalid, onChange }: CustomSizeProps) {
  const sides = sidesOf(size);
  const [width, setWidth] = useState(String(sides?.width ?? ""));
  const [height, setHeight] = useState(String(sides?.height ?? ""));
  return (
    <div className={styles.row}>
      <input
        className={field.control}
        inputMode="numeric"
        aria-label="Width in pixels"
        aria-describedby="size-findings"
        aria-invalid={invalid}
        value={width}
        onChange={({ target }) => {
          setWidth(target.value);
          onChange(`${target.value}*${height}`);
        }}
      />
      <span aria-hidden="true">×</span>
      <input
        className={field.control}
        inputMode="numeric"
        aria-label="Height in pixels"
        aria-describedby="size-findings"
        aria-invalid={invalid}
        value={height}
        onChange={({ target }) => {
          setHeight(target.value);
          onChange(`${width}*${target.value}`);
        }}
      />
    </div>
  );
}
