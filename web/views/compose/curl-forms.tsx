import { useState } from "react";
import type { ModelInfo } from "../../../schemas/limits.ts";
import { ChoiceGroup } from "../../components/choice-group.tsx";
import { CopyButton } from "../../components/copy-button.tsx";
import { access } from "../../data/access.ts";
import { useForClient } from "../../data/operator.ts";
import { useStore } from "../../data/store.ts";
import { CURL_FORMS, type CurlForm, curlLine } from "../../state/curl-line.ts";
import type { Draft } from "../../state/draft.ts";
import { requestFields } from "../../state/draft-request.ts";

const FORM_NAMES: Readonly<Record<CurlForm, string>> = {
  darkroom: "Darkroom",
  openai: "OpenAI Images",
  dashscope: "DashScope",
};

/** The command for the chosen one of the APIs that take the request. */
export default function CurlForms({ draft, model }: { readonly draft: Draft; readonly model: ModelInfo }) {
  const [form, setForm] = useState<CurlForm>("darkroom");
  const gate = useStore(access);
  const withToken = gate.kind === "open" && gate.health.authMode === "token";
  const fields = requestFields(draft, model);
  const line = curlLine({ form, origin: location.origin, draft, fields, withToken, client: useForClient() });
  return (
    <>
      <ChoiceGroup
        legend="API"
        hideLegend
        name="curl-form"
        choices={CURL_FORMS.map((value) => ({ value, label: FORM_NAMES[value] }))}
        value={form}
        onChange={setForm}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard. */}
      <pre tabIndex={0}>{line}</pre>
      <CopyButton text={line} label="Copy" done="curl line copied" look="quiet" />
    </>
  );
}
