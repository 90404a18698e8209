import { notify } from "../data/notices.ts";
import { Button, type ButtonLook } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";

interface CopyButtonProps {
  readonly text: string;
  readonly label: string;
  /** The notice of success: `Link copied`. */
  readonly done: string;
  readonly icon?: IconName;
  readonly look?: ButtonLook;
}

export function CopyButton({ text, label, done, icon = "copy", look = "plain" }: CopyButtonProps) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      notify("done", done);
    } catch {
      notify("failed", "This browser does not let the page copy. Select the text and copy it by hand.");
    }
  };
  return (
    <Button look={look} onClick={copy}>
      <Icon name={icon} />
      {label}
    </Button>
  );
}
