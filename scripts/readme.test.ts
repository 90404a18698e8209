import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readConfig, VARIABLES } from "../worker/env.ts";
import { LEGAL_EDGES } from "../worker/job/core/edges.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const example = readFileSync(new URL("../.dev.vars.example", import.meta.url), "utf8");

describe("README", () => {
  it("draws exactly the edges of the state machine, with their causes", () => {
    const drawn = [...readme.matchAll(/^ {4}(\w+) --> (\w+): (.+)$/gm)].map(([, from, to, why]) => [from, to, why]);
    expect(drawn).toEqual(LEGAL_EDGES.map((edge) => [...edge]));
  });

  it("maps paths that exist", () => {
    const map = readme.slice(readme.indexOf("## Where things are"), readme.indexOf("## Use it with curl"));
    const paths = [...map.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => path ?? "");
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url)))).toEqual([]);
  });

  it("calls the token by the one name that the commands of the text view and of the page have", () => {
    const named = [...readme.matchAll(/Bearer \$(\w+)/g)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(["DARKROOM_TOKEN"]));
  });

  it("has commands that can be pasted into any shell", () => {
    const blocks = [...readme.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block ?? "");
    expect(blocks.length).toBeGreaterThan(5);
    // Zsh, as it comes, takes a comment for arguments; and nobody can paste what stands for something else.
    for (const block of blocks) expect(block).not.toMatch(/#|…/);
  });

  it("explains every variable that the Worker reads, and no other", () => {
    const section = readme.slice(readme.indexOf("## Configuration"), readme.indexOf("## Deploy it"));
    const explained = [...section.matchAll(/^\| `([A-Z0-9_]+)`/gm)].map(([, name]) => name);
    // One row stands for CLIENT_TOKENS and for the eight variables that continue it.
    const named = VARIABLES.filter((name) => !/^CLIENT_TOKENS_\d$/.test(name));
    expect(new Set(explained)).toEqual(new Set(named));
    expect(VARIABLES.filter((name) => /^CLIENT_TOKENS_\d$/.test(name))).toHaveLength(8);
  });

  it("asks a first deployment for the variables without which token mode is misconfigured, and for no other", () => {
    const asked = [...example.matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name);
    const missing = readConfig({});
    expect(missing.ok).toBe(false);
    expect(missing.ok ? [] : missing.errors.map(({ path }) => path).sort()).toEqual([...asked].sort());
  });
});
