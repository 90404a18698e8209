import { describe, expect, it } from "vitest";
import { WORKFLOWS, type Workflow } from "../../../schemas/paths.ts";
import { type FormPart, formFields, GivenImage, jsonFields } from "./given-fields.ts";
import { normaliseSubmit } from "./normalise-submit.ts";
import { FIELDS } from "./submit-fields.ts";

const A = "https://example.com/a.png";
const B = "data:image/png;base64,iVBORw0KGgo=";

/** An image whose bytes came with the body. */
class File extends GivenImage {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
  }
}

function json(workflow: Workflow, body: unknown) {
  const answer = normaliseSubmit(workflow, jsonFields(workflow, body));
  return answer.ok ? answer.submit : answer.errors;
}
const text = (body: unknown) => json("image-from-text", body);
const reference = (body: unknown) => json("image-from-reference", body);

describe("the spellings of a text submission", () => {
  const normal = {
    prompt: "a red bicycle in the rain",
    negativePrompt: "blurry",
    size: "1664*928",
    n: 1,
    seed: 233,
    promptExtend: true,
    watermark: false,
    images: [],
  };
  const flat = { prompt: normal.prompt, size: "1664*928", n: 1, seed: 233, watermark: false };
  const parameters = {
    size: "1664*928",
    n: 1,
    seed: 233,
    negative_prompt: "blurry",
    prompt_extend: true,
    watermark: false,
  };
  const content = [{ text: normal.prompt }];

  it.each([
    ["camelCase", { ...flat, negativePrompt: "blurry", promptExtend: true }],
    ["snake_case", { ...flat, negative_prompt: "blurry", prompt_extend: true }],
    ["both, a field each", { ...flat, negativePrompt: "blurry", prompt_extend: true }],
    ["the envelope", { input: { messages: [{ role: "user", content }] }, parameters }],
    [
      "the envelope with types",
      { input: { messages: [{ role: "user", content: [{ type: "text", ...content[0] }] }] }, parameters },
    ],
    [
      "the envelope of the older models",
      {
        input: { prompt: normal.prompt, negative_prompt: "blurry" },
        parameters: { ...parameters, negative_prompt: undefined },
      },
    ],
    ["an x in the size", { ...flat, size: "1664x928", negativePrompt: "blurry", promptExtend: true }],
    ["a × and blanks in the size", { ...flat, size: " 1664 × 928", negativePrompt: "blurry", promptExtend: true }],
  ])("%s", (_name, body) => {
    expect(text(JSON.parse(JSON.stringify(body)))).toEqual(normal);
  });

  it("treats null as absent", () => {
    expect(text({ prompt: "a", seed: null, negativePrompt: null, negative_prompt: "b" })).toEqual({
      prompt: "a",
      negativePrompt: "b",
      images: [],
    });
  });

  it("accepts our own fields beside each of them", () => {
    const ours = {
      priority: "high",
      maxAttempts: 2,
      deadlineSeconds: 60,
      onUncertain: "fail",
      metadata: { a: 1 },
    } as const;
    const snake = { priority: "high", max_attempts: 2, deadline_seconds: 60, on_uncertain: "fail", metadata: { a: 1 } };
    expect(text({ prompt: "a", ...ours })).toMatchObject(ours);
    expect(text({ model: "qwen-image-max", input: { messages: [{ role: "user", content }] }, ...snake })).toEqual({
      model: "qwen-image-max",
      prompt: normal.prompt,
      images: [],
      ...ours,
    });
  });
});

describe("one value in several places", () => {
  const C = new File("same bytes");
  const D = new File("same bytes");
  const content = (...items: object[]) => ({ input: { messages: [{ role: "user", content: items }] } });

  it.each<[string, unknown, unknown]>([
    ["a prompt", { prompt: "a", images: A, ...content({ text: "a" }) }, { prompt: "a", images: [A] }],
    [
      "a size, in two spellings",
      { prompt: "a", images: A, size: "1664x928", parameters: { size: "1664*928" } },
      { prompt: "a", images: [A], size: "1664*928" },
    ],
    ["an image", { prompt: "a", referenceImageUrl: A, ...content({ image: A }) }, { prompt: "a", images: [A] }],
    ["an image's bytes", { prompt: "a", image: C, ...content({ image: D }) }, { prompt: "a", images: [C] }],
    [
      "two images, in their order",
      { images: [A, B], ...content({ image: A }, { text: "a" }, { image: B }) },
      { prompt: "a", images: [A, B] },
    ],
  ])("is that value: %s", (_name, body, submit) => {
    expect(reference(body)).toEqual(submit);
  });
});

describe("what clients send beside", () => {
  const warningsOf = (body: unknown) => {
    const answer = normaliseSubmit("image-from-text", jsonFields("image-from-text", body));
    return answer.ok ? { submit: answer.submit, warnings: answer.warnings.map(({ code }) => code) } : answer.errors;
  };
  const submit = { prompt: "a", images: [] };

  it.each<[string, unknown, unknown]>([
    [
      "an option that changes nothing",
      { prompt: "a", response_format: "url" },
      { submit, warnings: ["option_ignored"] },
    ],
    [
      "such an option among the parameters",
      { prompt: "a", parameters: { output_format: "png", quality: "hd" } },
      { submit, warnings: ["option_ignored", "option_ignored"] },
    ],
    ["such an option, not given", { prompt: "a", user: null, stream: false }, { submit, warnings: ["option_ignored"] }],
    [
      "a size that two clients misspell",
      { prompt: "a", size: "1472x1140" },
      { submit: { ...submit, size: "1472*1104" }, warnings: ["size_corrected"] },
    ],
    [
      "the other one",
      { prompt: "a", parameters: { size: "1140*1472" } },
      { submit: { ...submit, size: "1104*1472" }, warnings: ["size_corrected"] },
    ],
    ["a name of the default model", { prompt: "a", model: "image-generation-latest" }, { submit, warnings: [] }],
    ["a blank negative prompt", { prompt: "a", parameters: { negative_prompt: " " } }, { submit, warnings: [] }],
    ["nothing but nulls", { prompt: "a", input: null, parameters: null, seed: null }, { submit, warnings: [] }],
    [
      "a message whose content is text",
      { input: { messages: [{ role: "user", content: "a" }] } },
      { submit, warnings: [] },
    ],
  ])("is accepted: %s", (_name, body, taken) => {
    expect(warningsOf(body)).toEqual(taken);
  });
});

describe("a prompt", () => {
  it.each(["\u3000\u200b", "\u00ad", "\u2800", "\u3164", "\u{e0041}", "\ufeff\n", "\u0301", ""])(
    "of %j has no visible character",
    (prompt) => {
      const message = "must say what to draw: it holds nothing that can be seen";
      expect(text({ prompt })).toEqual([{ path: "/prompt", message }]);
    },
  );

  it.each(["🚲", "猫", "é", "1", "?", "\u200bא", "a\tb\r\nc", "👩‍👩‍👧"])("of %j is accepted", (prompt) => {
    expect(text({ prompt })).toEqual({ prompt, images: [] });
  });

  it.each(["\u0000", "\u0007", "\u001b[31m", "\u007f", "\u0085"])("with %j is refused with its position", (control) => {
    const code = control.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    const message = `must hold no control character; the one at position 4 is U+${code}`;
    expect(text({ prompt: `red${control}` })).toEqual([{ path: "/prompt", message }]);
  });
});

describe("the spellings of reference images", () => {
  it.each([
    ["image", { prompt: "a", image: A }, [A]],
    ["one that is no list", { prompt: "a", images: B }, [B]],
    ["the older models' input", { input: { prompt: "a", images: [A, B] } }, [A, B]],
    [
      "OpenAI's content",
      {
        input: {
          messages: [
            {
              role: "user",
              content: [
                { type: "text", text: "a" },
                { type: "image_url", image_url: { url: A } },
              ],
            },
          ],
        },
      },
      [A],
    ],
    ["images", { prompt: "a", images: [A, B] }, [A, B]],
    ["reference_image_url", { prompt: "a", reference_image_url: A }, [A]],
    ["referenceImageUrl", { prompt: "a", referenceImageUrl: B }, [B]],
    [
      "the envelope",
      { input: { messages: [{ role: "user", content: [{ image: A }, { type: "image", image: B }, { text: "a" }] }] } },
      [A, B],
    ],
  ])("%s", (_name, body, images) => {
    expect(reference(body)).toEqual({ prompt: "a", images });
  });
});

describe("what is refused", () => {
  it.each<[string, unknown, unknown]>([
    ["no object", [], [{ path: "", message: "must be a JSON object" }]],
    ["null", null, [{ path: "", message: "must be a JSON object" }]],
    ["no prompt", {}, [{ path: "/prompt", message: "is required" }]],
    [
      "a blank prompt",
      { prompt: " \n" },
      [{ path: "/prompt", message: "must say what to draw: it holds nothing that can be seen" }],
    ],
    [
      "a prompt of another type",
      { prompt: 5 },
      [{ path: "/prompt", message: "must be text of at most 20000 characters; got the number 5" }],
    ],
    ["an unknown key", { prompt: "a", colour: 1 }, [{ path: "/colour", message: "unknown field" }]],
    [
      "a typing error",
      { prompt: "a", promtExtend: true },
      [{ path: "/promtExtend", message: "unknown field; did you mean promptExtend?" }],
    ],
    [
      "another service's name",
      { prompt: "a", image_size: "x" },
      [{ path: "/image_size", message: "unknown field; did you mean size?" }],
    ],
    ["a key with a slash", { prompt: "a", "a/b~c": 1 }, [{ path: "/a~1b~0c", message: "unknown field" }]],
    [
      "__proto__",
      JSON.parse('{"prompt":"a","__proto__":{"seed":1}}'),
      [{ path: "/__proto__", message: "unknown field" }],
    ],
    [
      "two values of one field",
      { prompt: "a", negativePrompt: "b", negative_prompt: "c" },
      [{ path: "/negative_prompt", message: "gives another negativePrompt than /negativePrompt: give it once" }],
    ],
    [
      "another prompt than the envelope's",
      { prompt: "a", input: { messages: [{ role: "user", content: [{ text: "b" }] }] } },
      [{ path: "/input/messages/0/content/0/text", message: "gives another prompt than /prompt: give it once" }],
    ],
    [
      "two texts",
      { input: { messages: [{ role: "user", content: [{ text: "a" }, { text: "b" }] }] } },
      [
        {
          path: "/input/messages/0/content/1/text",
          message: "gives another prompt than /input/messages/0/content/0/text: give it once",
        },
      ],
    ],
    [
      "another size than the parameters'",
      { prompt: "a", size: "1328*1328", parameters: { size: "1664*928" } },
      [{ path: "/parameters/size", message: "gives another size than /size: give it once" }],
    ],
    [
      "a control character",
      { prompt: "a\u0007b", negativePrompt: "\u0000" },
      [
        { path: "/prompt", message: "must hold no control character; the one at position 2 is U+0007" },
        { path: "/negativePrompt", message: "must hold no control character; the one at position 1 is U+0000" },
      ],
    ],
    [
      "an option that asks for what is not done here",
      { prompt: "a", stream: true, background: "transparent" },
      [
        {
          path: "/stream",
          message: "asks for what is not done here (the answer is a job, which is polled or watched); leave it out",
        },
        {
          path: "/background",
          message: "asks for what is not done here (these models have no such choice); leave it out",
        },
      ],
    ],
    ["a word that is near nothing", { prompt: "a", file: "x" }, [{ path: "/file", message: "unknown field" }]],
    [
      "an image's name where no image is taken",
      { prompt: "a", image_url: A },
      [{ path: "/image_url", message: "unknown field" }],
    ],
    [
      "a wrong parameter, at its own place",
      {
        input: { messages: [{ role: "user", content: [{ text: "a" }] }] },
        parameters: { seed: "x", negative_promt: "b" },
      },
      [
        { path: "/parameters/negative_promt", message: "unknown field; did you mean negative_prompt?" },
        { path: "/parameters/seed", message: 'must be a whole number from 0 to 2147483647; got the text "x"' },
      ],
    ],
    [
      "a conversation",
      {
        input: {
          messages: [
            { role: "user", content: [{ text: "a" }] },
            { role: "user", content: [] },
          ],
        },
      },
      [
        {
          path: "/input/messages",
          message: "must be a list of exactly one message: an image model has no conversation",
        },
      ],
    ],
    [
      "another role",
      { input: { messages: [{ role: "system", content: [{ text: "a" }] }] } },
      [{ path: "/input/messages/0/role", message: "must be user" }],
    ],
    [
      "an item that is both",
      { prompt: "a", input: { messages: [{ role: "user", content: [{ text: "a", image: A }] }] } },
      [{ path: "/input/messages/0/content/0", message: "must have either text or image" }],
    ],
    [
      "an item that says the other type",
      { input: { messages: [{ role: "user", content: [{ type: "image", text: "a" }] }] } },
      [{ path: "/input/messages/0/content/0/type", message: 'says the text "image", but the item holds text' }],
    ],
    ["an input of nothing", { prompt: "a", input: {} }, [{ path: "/input/messages", message: "is required" }]],
    [
      "images for a text workflow",
      { prompt: "a", images: [A] },
      [{ path: "/images", message: "image-from-text takes no images; image-from-reference does" }],
    ],
    [
      "a size that is none",
      { prompt: "a", size: "big" },
      [{ path: "/size", message: 'must look like 1664*928 (1664x928 is taken too), or like 2K; got the text "big"' }],
    ],
    [
      "half a surrogate pair",
      { prompt: "a\ud800" },
      [{ path: "/prompt", message: "holds half of a character: a surrogate without its pair" }],
    ],
    [
      "half a pair in metadata",
      { prompt: "a", metadata: { "\udc00": 1 } },
      [{ path: "/metadata", message: "holds half of a character: a surrogate without its pair" }],
    ],
  ])("%s", (_name, body, errors) => {
    expect(text(body)).toEqual(errors);
  });

  it.each<[string, unknown, unknown]>([
    [
      "no image",
      { prompt: "a" },
      [{ path: "/images", message: "is required: 1 to 10 images, as addresses, data URLs or files" }],
    ],
    [
      "other images in a second place",
      { prompt: "a", images: [A], reference_image_url: B },
      [{ path: "/reference_image_url", message: "gives another images than /images: give it once" }],
    ],
    [
      "other images than the envelope's",
      { images: [A], input: { messages: [{ role: "user", content: [{ text: "a" }, { image: A }, { image: B }] }] } },
      [{ path: "/input/messages/0/content", message: "gives another images than /images: give it once" }],
    ],
    [
      "an image's name in a content item",
      { prompt: "a", images: [A], input: { messages: [{ role: "user", content: [{ url: A }] }] } },
      [{ path: "/input/messages/0/content/0/url", message: "unknown field" }],
    ],
    [
      "another service's name of images",
      { prompt: "a", image_urls: [A] },
      [{ path: "/image_urls", message: "unknown field; did you mean images?" }],
    ],
    [
      "an image that is no text",
      { prompt: "a", images: [A, 5] },
      [{ path: "/images/1", message: "must be an http(s) address, a data URL or a form's file; got the number 5" }],
    ],
    [
      "an image of the envelope that is no text, at its own place",
      { input: { messages: [{ role: "user", content: [{ text: "a" }, { image: A }, { image: {} }] }] } },
      [
        {
          path: "/input/messages/0/content/2/image",
          message: "must be an http(s) address, a data URL or a form's file; got an object",
        },
      ],
    ],
  ])("of a reference submission: %s", (_name, body, errors) => {
    expect(reference(body)).toEqual(errors);
  });

  const images = [A];
  it.each<[string, unknown, unknown]>([
    [
      "a name in metadata that objects have for themselves",
      { prompt: "a", images, metadata: JSON.parse('{"__proto__": "x", "a": 1}') },
      [["/metadata/__proto__", "is no name that can be kept: choose another"]],
    ],
    [
      "a thing in metadata",
      { prompt: "a", images, metadata: { a: {}, b: [1], c: "x".repeat(501), d: Number.POSITIVE_INFINITY } },
      [
        ["/metadata/a", "must be text of at most 500 characters, a number, true or false or null; got an object"],
        ["/metadata/b", "must be text of at most 500 characters, a number, true or false or null; got a list of 1"],
        [
          "/metadata/c",
          "must be text of at most 500 characters, a number, true or false or null; got text of 501 characters",
        ],
        [
          "/metadata/d",
          "must be text of at most 500 characters, a number, true or false or null; got a number past all bounds",
        ],
      ],
    ],
    [
      "metadata that is none",
      { prompt: "a", images, metadata: [1] },
      [["/metadata", "must be an object; got a list of 1"]],
    ],
    [
      "names in metadata",
      { prompt: "a", images, metadata: { "": 1, ["x".repeat(80)]: 1 } },
      [
        ["/metadata/", "must have a name of 1 to 64 characters; this one has 0"],
        [`/metadata/${"x".repeat(64)}`, "must have a name of 1 to 64 characters; this one has 80"],
      ],
    ],
    [
      "too much metadata",
      { prompt: "a", images, metadata: Object.fromEntries(Array.from({ length: 21 }, (_, index) => [index, 1])) },
      [["/metadata", "must have 20 entries at most"]],
    ],
    [
      "numbers out of bounds",
      { prompt: "a", images, n: 1.5, seed: -1, maxAttempts: 11, deadlineSeconds: 5 },
      [
        ["/n", "must be a whole number from 1 up; got the number 1.5"],
        ["/seed", "must be a whole number from 0 to 2147483647; got the number -1"],
        ["/maxAttempts", "must be a whole number from 1 to 10; got the number 11"],
        ["/deadlineSeconds", "must be a whole number from 10 to 604800; got the number 5"],
      ],
    ],
    [
      "words that are not offered",
      { prompt: "a", images, priority: "urgent", onUncertain: null, on_uncertain: 5, model: "", negativePrompt: [] },
      [
        ["/negativePrompt", "must be text of at most 20000 characters; got an empty list"],
        ["/model", "must be text of 1 to 100 characters; got an empty text"],
        ["/priority", 'must be high, normal or low; got the text "urgent"'],
        ["/on_uncertain", "must be retry or fail; got the number 5"],
      ],
    ],
    [
      "a long prompt",
      { prompt: "x".repeat(20_001), images },
      [["/prompt", "must be text of at most 20000 characters; got text of 20001 characters"]],
    ],
    [
      "an empty image",
      { prompt: "a", images: [A, ""] },
      [["/images/1", "must be an http(s) address, a data URL or a form's file; got an empty text"]],
    ],
    [
      "an empty list",
      { prompt: "a", images: [] },
      [["/images", "must be a list of 1 to 10 images; got an empty list"]],
    ],
  ])("in plain words: %s", (_name, body, errors) => {
    const found = reference(body) as { path: string; message: string }[];
    expect(found.map(({ path, message }) => [path, message])).toEqual(errors);
  });

  it("points into the envelope at missing and excess parts", () => {
    const envelope = (content: unknown) => reference({ input: { messages: [{ role: "user", content }] } });
    const path = "/input/messages/0/content";
    expect(envelope([])).toEqual([
      { path, message: "must hold a {text}, the prompt" },
      { path, message: "must hold 1 to 10 {image}, as addresses or data URLs" },
    ]);
    expect(envelope([{ text: "a" }, ...Array(11).fill({ image: A })])).toEqual([
      { path, message: "must be a list of 1 to 10 images; got a list of 11" },
    ]);
  });

  it("has no term of its own tools in any message", () => {
    const wrong = [
      null,
      0,
      -1,
      1.5,
      Number.POSITIVE_INFINITY,
      "",
      "x".repeat(30_000),
      true,
      [],
      [[]],
      {},
      { a: { b: 1 } },
    ];
    for (const field of FIELDS) {
      for (const value of wrong) {
        for (const workflow of WORKFLOWS) {
          const answer = json(workflow, { prompt: "a", images: [A], [field]: value });
          for (const { message } of Array.isArray(answer) ? answer : []) {
            expect(message).not.toMatch(/expected|received|invalid|too (big|small)|string|boolean|array|record|int\b/i);
          }
        }
      }
    }
  });

  it("lists twenty errors at most", () => {
    const body = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`key-${index}`, 1]));
    expect(text({ prompt: "a", ...body })).toHaveLength(20);
  });
});

describe("a form", () => {
  const form = (parts: FormPart[]) => {
    const answer = normaliseSubmit("image-from-reference", formFields("image-from-reference", parts));
    return answer.ok ? answer.submit : answer.errors;
  };
  const file = new File("1");

  it("is read into numbers, booleans and images in their order", () => {
    const parts: FormPart[] = [
      ["prompt", "5"],
      ["image", file],
      ["n", "2"],
      ["seed", " 7 "],
      ["prompt_extend", "TRUE"],
      ["watermark", "false"],
      ["images[]", A],
      ["metadata", '{"order":17}'],
      ["negativePrompt", ""],
    ];
    expect(form(parts)).toEqual({
      prompt: "5",
      n: 2,
      seed: 7,
      promptExtend: true,
      watermark: false,
      metadata: { order: 17 },
      images: [file, A],
    });
  });

  it("names each of its files by part and number", () => {
    const parts: FormPart[] = [
      ["prompt", "a"],
      ["images", file],
      ["image", file],
      ["images", file],
    ];
    const answer = normaliseSubmit("image-from-reference", formFields("image-from-reference", parts));
    if (!answer.ok) throw new Error("refused");
    const pointers = [0, 1, 2].map((index) => answer.pointerOf(`/images/${index}`));
    expect(pointers).toEqual(["/images/0", "/image/0", "/images/1"]);
  });

  it.each<[string, FormPart[], unknown]>([
    [
      "a number that is none",
      [
        ["prompt", "a"],
        ["images", A],
        ["n", "two"],
      ],
      [{ path: "/n", message: 'must be a whole number from 1 up; got the text "two"' }],
    ],
    [
      "a boolean that is none",
      [
        ["prompt", "a"],
        ["images", A],
        ["watermark", "yes"],
      ],
      [{ path: "/watermark", message: 'must be true or false; got the text "yes"' }],
    ],
    [
      "a file as prompt",
      [
        ["prompt", file],
        ["images", A],
      ],
      [{ path: "/prompt", message: "must be text, not a file" }],
    ],
    [
      "two values of a part",
      [
        ["prompt", "a"],
        ["prompt", "b"],
        ["images", A],
      ],
      [{ path: "/prompt", message: "gives another prompt than /prompt: give it once" }],
    ],
    [
      "an unknown part",
      [
        ["prompt", "a"],
        ["image", A],
        ["imagen", A],
      ],
      [{ path: "/imagen", message: "unknown field; did you mean images?" }],
    ],
    [
      "a foreign name",
      [
        ["prompt", "a"],
        ["image", A],
        ["file", A],
      ],
      [{ path: "/file", message: "unknown field; did you mean images?" }],
    ],
    [
      "several things at once",
      [
        ["prompt", "a"],
        ["n", "0"],
        ["images", file],
        ["images", "x".repeat(5000)],
        ...Array.from({ length: 9 }, (): FormPart => ["images[]", file]),
      ],
      [
        { path: "/n", message: "must be a whole number from 1 up; got the number 0" },
        { path: "/images", message: "must be a list of 1 to 10 images; got a list of 11" },
      ],
    ],
    [
      "eleven images",
      [["prompt", "a"], ...Array.from({ length: 11 }, (): FormPart => ["image", A])],
      [{ path: "/image", message: "must be a list of 1 to 10 images; got a list of 11" }],
    ],
  ])("refuses %s", (_name, parts, errors) => {
    expect(form(parts)).toEqual(errors);
  });
});

describe("pointerOf", () => {
  it("finds where the client wrote a field in which an error is found later", () => {
    const content = [{ image: A }, { text: "a" }];
    const body = { input: { messages: [{ role: "user", content }] }, parameters: { size: "1*1" } };
    const answer = normaliseSubmit(
      "image-from-reference",
      jsonFields("image-from-reference", { ...body, parameters: { size: "512*512" } }),
    );
    if (!answer.ok) throw new Error("refused");
    expect(answer.pointerOf("/size")).toBe("/parameters/size");
    expect(answer.pointerOf("/images/0")).toBe("/input/messages/0/content/0/image");
    expect(answer.pointerOf("/model")).toBe("/model");
  });
});

describe("a value that is given twice", () => {
  it("is one value, whatever the order of its keys", () => {
    const metadata = { shelf: "a", row: 2 };
    const parts: FormPart[] = [
      ["prompt", "a red bicycle"],
      ["metadata", JSON.stringify(metadata)],
      ["metadata", JSON.stringify({ row: 2, shelf: "a" })],
    ];
    expect(normaliseSubmit("image-from-text", formFields("image-from-text", parts))).toMatchObject({
      ok: true,
      submit: { metadata },
    });
  });

  it("is refused, and nothing fails, when it is nested deeper than any call stack", () => {
    const deep = () => JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`) as unknown;
    const errors = text({ prompt: "a red bicycle", negativePrompt: deep(), negative_prompt: deep() });
    expect(errors).toContainEqual({
      path: "/negative_prompt",
      message: "gives another negativePrompt than /negativePrompt: give it once",
    });
  });
});
