import { describe, expect, it } from "vitest";
import { type CurlForm, curlLine, shellQuote } from "./curl-line.ts";
import { type Draft, FRESH_DRAFT } from "./draft.ts";

const A_FILE = { kind: "file", key: "a", name: "it's a.png", contentType: "image/png", bytes: 100 } as const;
const A_URL = { kind: "url", url: "https://example.com/a.png" } as const;
const FIELDS = {
  prompt: "a boat",
  model: "qwen-image-max",
  size: "1664*928",
  negativePrompt: "fog",
  priority: "low",
} as const;

interface Options {
  readonly form: CurlForm;
  readonly images?: Draft["images"];
  readonly withToken?: boolean;
  readonly client?: string;
}

function line({ form, images = [], withToken = false, client }: Options): string {
  const workflow = images.length === 0 ? "image-from-text" : "image-from-reference";
  const draft = { ...FRESH_DRAFT, workflow, images } as const;
  return curlLine({ form, origin: "http://h", draft, fields: FIELDS, withToken, client: client ?? null });
}

describe("curlLine", () => {
  it("is inert in a shell whatever the prompt says", () => {
    expect(shellQuote("it's $HOME `id`")).toBe(`'it'\\''s $HOME \`id\`'`);
  });

  it("sends JSON to each API in its own shape", () => {
    const shown = (form: CurlForm) => line({ form }).split(" \\\n  ").slice(1);
    const type = "-H 'Content-Type: application/json'";
    const native =
      '{"prompt":"a boat","model":"qwen-image-max","size":"1664*928","negativePrompt":"fog","priority":"low"}';
    expect(shown("darkroom")).toEqual(["'http://h/api/workflows/image-from-text'", type, `-d '${native}'`]);
    const openai = native.replace("1664*928", "1664x928").replace("}", ',"response_format":"url"}');
    expect(shown("openai")).toEqual(["'http://h/v1/images/generations'", type, `-d '${openai}'`]);
    const dashscope = {
      model: "qwen-image-max",
      input: { messages: [{ role: "user", content: [{ text: "a boat" }] }] },
      parameters: { size: "1664*928", negative_prompt: "fog" },
      priority: "low",
    };
    const path = "'http://h/api/v1/services/aigc/multimodal-generation/generation'";
    expect(shown("dashscope")).toEqual([path, type, `-d '${JSON.stringify(dashscope)}'`]);
  });

  it("sends a token only where one is needed, and names the client for whom an operator submits", () => {
    for (const form of ["darkroom", "openai", "dashscope"] as const) {
      expect(line({ form })).not.toContain("Bearer");
      const operated = line({ form, withToken: true, client: "studio" });
      expect(operated).toContain('-H "Authorization: Bearer $DARKROOM_TOKEN"');
      expect(operated).toContain("?client=studio'");
    }
  });

  it("sends files as a form, and to DashScope in base64 by standard input", () => {
    const images = [A_URL, A_FILE];
    expect(line({ form: "darkroom", images })).toContain(
      `--form-string 'images=https://example.com/a.png' \\\n  -F 'images=@"it'\\''s a.png";type=image/png'`,
    );
    expect(line({ form: "openai", images })).toContain(`-F 'image[]=@"it'\\''s a.png";type=image/png'`);
    const [body = "", curl = ""] = line({ form: "dashscope", images }).split(" | \\\n");
    expect(body).toContain(`{"image":"https://example.com/a.png"},{"image":"data:image/png;base64,'; base64 < `);
    expect(body).toContain(`base64 < 'it'\\''s a.png' | tr -d '\\n'; printf %s '"},{"text":"a boat"}]}]}`);
    expect(curl).toContain("--data-binary @-");
  });
});
