import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname } from "node:path";
import type { Spread } from "./statistics.ts";

/** A figure with its bar, or without one when it only informs. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly value: Spread;
  readonly bar: { readonly kind: "at least" | "at most"; readonly value: number } | null;
  /** How it was measured, in a few words. */
  readonly note?: string;
}

/** Whether the figure meets its bar; true without one. */
export function holds({ bar, value }: Figure): boolean {
  if (bar === null) return true;
  return bar.kind === "at least" ? value.median >= bar.value : value.median <= bar.value;
}

function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

function barWords({ bar, unit }: Figure): string {
  if (bar === null) return "";
  return `${bar.kind === "at least" ? "≥" : "≤"} ${short(bar.value)}${unit === "" ? "" : ` ${unit}`}`;
}

function rowWords(figure: Figure): string[] {
  const { what, unit, value, bar } = figure;
  const median = `${short(value.median)}${unit === "" ? "" : ` ${unit}`}`;
  const spread = value.of > 1 ? `${short(value.min)} … ${short(value.max)} (${value.of})` : "";
  return [what, barWords(figure), median, spread, bar === null ? "" : holds(figure) ? "holds" : "MISSED"];
}

/** The table as Markdown, which is also readable on a terminal. */
export function table(figures: readonly Figure[]): string {
  const rows = [["what", "bar", "median", "least … most (rounds)", ""], ...figures.map(rowWords)];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length), 3));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line)].join("\n");
}

/** The machine and its load, without which a figure means nothing. */
export function machine(): string {
  const [minute = 0] = loadavg();
  return `${cpus().length} × ${cpus()[0]?.model ?? "CPU"}, Node ${process.versions.node}, load ${minute.toFixed(2)}`;
}

export function writeReport(path: string, figures: readonly Figure[], about: Readonly<Record<string, unknown>>): void {
  mkdirSync(dirname(path), { recursive: true });
  const rows = figures.map((figure) => ({ ...figure, holds: holds(figure) }));
  writeFileSync(path, `${JSON.stringify({ ...about, machine: machine(), figures: rows }, null, 2)}\n`);
}
