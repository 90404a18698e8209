import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readConfig, VARIABLES } from "../worker/env.ts";
import { MACHINE, PLACES, type Place, statusEdges } from "../worker/job/core/machine.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const architecture = readFileSync(new URL("../docs/architecture.md", import.meta.url), "utf8");
const example = readFileSync(new URL("../.dev.vars.example", import.meta.url), "utf8");

describe("README", () => {
  it("draws the state machine: every change of status, with its causes", () => {
    const edges = statusEdges().map(({ from, to, texts }) => `    ${from} --> ${to}: ${texts.join(", ")}`);
    const drawn = readme.match(/^ {4}\w+ --> \w+: .+$/gm);
    expect(drawn).toEqual(edges);
  });

  it("maps paths that exist", () => {
    const map = readme.slice(readme.indexOf("## Where things are"), readme.indexOf("## Use it with curl"));
    const paths = [...map.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => path ?? "");
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url)))).toEqual([]);
  });

  it("shows pictures that exist, each with an alternative text", () => {
    const pictures = [...readme.matchAll(/!\[([^\]]*)\]\((?!https:)([^)]+)\)/g)];
    expect(pictures.length).toBeGreaterThan(1);
    for (const [, words = "", path = ""] of pictures) {
      expect(words).not.toBe("");
      expect(existsSync(new URL(`../${path}`, import.meta.url))).toBe(true);
    }
  });

  it("uses one name for the token, the one in the commands of the text view and of the page", () => {
    const named = [...readme.matchAll(/Bearer \$(\w+)/g)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(["DARKROOM_TOKEN"]));
  });

  it("has commands that can be pasted into any shell", () => {
    const blocks = [...readme.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block ?? "");
    expect(blocks.length).toBeGreaterThan(5);
    // By default zsh reads a comment as arguments, and a placeholder cannot be pasted.
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

  it("requires of a first deployment exactly the variables without which token mode is misconfigured", () => {
    const asked = [...example.matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name);
    const missing = readConfig({});
    expect(missing.ok).toBe(false);
    expect(missing.ok ? [] : missing.errors.map(({ path }) => path).sort()).toEqual([...asked].sort());
  });
});

describe("docs/architecture.md", () => {
  it("describes the places of a job as the state machine does", () => {
    const rows = Object.entries(PLACES).map(([place, { status, is, left }]) => {
      return `| \`${place}\` | ${status ?? "none: 410"} | ${is} | ${left} |`;
    });
    expect(rows.filter((row) => !architecture.includes(row))).toEqual([]);
  });

  it("lists the places in which each fact is taken, and where it leads, as the state machine does", () => {
    const all = Object.keys(PLACES) as Place[];
    const rows = Object.entries(MACHINE).map(([fact, move]) => {
      const cells = all.flatMap((place) => {
        const targets: readonly string[] | undefined = move.in[place];
        if (targets === undefined) return [];
        return [targets.length === 0 ? place : `${place} → ${targets.join(", ")}`];
      });
      return `| \`${fact}\` | ${cells.join("; ")} |`;
    });
    expect(rows.filter((row) => !architecture.includes(row))).toEqual([]);
  });
});
