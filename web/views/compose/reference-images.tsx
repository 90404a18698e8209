import { type RefObject, useEffect, useRef, useState } from "react";
import { Button } from "../../components/button.tsx";
import field from "../../components/field.module.css";
import { Findings, isInvalid } from "../../components/findings.tsx";
import { fieldMark } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { changeDraft } from "../../data/draft-store.ts";
import { forgetLeftOut, leftOut, takeFiles, takeImages } from "../../data/incoming-images.ts";
import { useStore } from "../../data/store.ts";
import { imageIdentity } from "../../state/draft.ts";
import { INPUT_TYPES, urlProblem } from "../../state/draft-check.ts";
import { keyed } from "../../state/keyed.ts";
import type { FieldProps } from "./field-props.ts";
import styles from "./reference-images.module.css";
import { ReferenceTile } from "./reference-tile.tsx";

/** The input images: chosen files, files pasted or dropped anywhere on the page, and addresses, in the order by which prompts name them. */
export function ReferenceImages({ draft, model, findings }: FieldProps) {
  const input = useRef<HTMLInputElement>(null);
  const refused = useStore(leftOut);
  const { max } = model.images;
  const full = draft.images.length >= max;
  const tiles = useRef<HTMLFieldSetElement>(null);
  const focusTile = useTileFocus(tiles);
  const move = (from: number, to: number) => {
    changeDraft({ type: "move_image", from, to });
    focusTile(to, to < from ? "earlier" : "later");
  };
  const said = [...findings, ...refused.map((text) => ({ field: "images", level: "error", message: text }) as const)];
  useEffect(() => forgetLeftOut, []);
  return (
    <fieldset className={field.field} ref={tiles} {...fieldMark("images")}>
      <legend className={field.label}>
        Reference images <span className={styles.count}>{`${draft.images.length} of ${max}`}</span>
      </legend>
      {draft.images.length > 0 && (
        <ol className={styles.tiles}>
          {keyed(draft.images, imageIdentity).map(({ key, item }, index) => (
            <ReferenceTile
              key={key}
              image={item}
              index={index}
              onRemove={() => {
                forgetLeftOut();
                changeDraft({ type: "remove_image", index });
                focusTile(index, "remove");
              }}
              onEarlier={index === 0 ? null : () => move(index, index - 1)}
              onLater={index === draft.images.length - 1 ? null : () => move(index, index + 1)}
            />
          ))}
        </ol>
      )}
      <input
        ref={input}
        type="file"
        accept={INPUT_TYPES.join(",")}
        multiple
        hidden
        data-testid="reference-file"
        onChange={({ target }) => {
          void takeFiles([...(target.files ?? [])], max);
          // So that the same file, chosen again after it was removed, fires a change event.
          target.value = "";
        }}
      />
      {!full && (
        <>
          <button
            type="button"
            data-drop
            className={styles.drop}
            onClick={() => input.current?.click()}
            aria-describedby="image-findings"
            aria-invalid={isInvalid("images", findings)}
          >
            <Icon name="add" />
            <span>
              <strong>Choose files</strong>, drop or paste them here
              <small>PNG, JPEG, WebP, GIF, BMP or TIFF, 10 MB each</small>
            </span>
          </button>
          <AddressField max={max} />
        </>
      )}
      <Findings id="image-findings" field="images" findings={said} />
    </fieldset>
  );
}

/**
 * Keeps the focus on the tile that a press moved, or beside the tile that it removed. Once the change is drawn, it focuses the same
 * button of the tile at that place, else its remove button, else the one before it, else the button to add files.
 */
function useTileFocus(tiles: RefObject<HTMLFieldSetElement | null>) {
  const [wanted, setWanted] = useState<{ readonly place: number; readonly button: string } | null>(null);
  useEffect(() => {
    if (wanted === null) return;
    const { place, button } = wanted;
    const inTile = (at: number, name: string) =>
      tiles.current?.querySelector<HTMLElement>(`[data-tile="${at}"] [data-move="${name}"]`) ?? null;
    const found = [
      inTile(place, button),
      inTile(place, "remove"),
      inTile(place - 1, "remove"),
      tiles.current?.querySelector<HTMLElement>("[data-drop]") ?? null,
    ];
    found.find((control) => control !== null)?.focus();
  }, [wanted, tiles]);
  return (place: number, button: "earlier" | "later" | "remove") => setWanted({ place, button });
}

function AddressField({ max }: { readonly max: number }) {
  const [url, setUrl] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const add = () => {
    const wrong = urlProblem(url);
    setProblem(wrong);
    if (wrong !== null) return;
    takeImages([{ kind: "url", url: url.trim() }], max);
    setUrl("");
  };
  return (
    <div className={field.field}>
      <div className={styles.address}>
        <input
          type="url"
          inputMode="url"
          className={field.control}
          aria-label="Address of an image"
          aria-describedby="address-problem"
          aria-invalid={problem !== null}
          placeholder="or an address: https://…"
          value={url}
          onChange={({ target }) => {
            setUrl(target.value);
            setProblem(null);
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.metaKey || event.ctrlKey) return;
            event.preventDefault();
            add();
          }}
        />
        <Button onClick={add}>Add</Button>
      </div>
      <p id="address-problem" className={field.error} aria-live="polite">
        {problem}
      </p>
    </div>
  );
}
