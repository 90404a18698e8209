import { describe, expect, it } from "vitest";
import type { Usage } from "../../schemas/usage.ts";
import { costWords, exactMoneyWords, moneyWords, resetWords, usedOf, usedWords } from "./money-words.ts";
import { axisEnd, daysOfMonth, monthAfter, totalsOf } from "./spend-sums.ts";

describe("money in words", () => {
  it.each([
    [0.075, "USD", "$0.08", "$0.075"],
    [0.0025, "USD", "$0.0025", "$0.0025"],
    [12.5, "CNY", "CN¥12.50", "CN¥12.50"],
    [0, "USD", "$0.00", "$0.00"],
  ])("%j %s is about %s, exactly %s", (amount, currency, about, exactly) => {
    expect(moneyWords(amount, currency)).toBe(about);
    expect(exactMoneyWords(amount, currency)).toBe(exactly);
  });

  const cost = { currency: "USD", estimated: 0.15, charged: 0, atRisk: 0 };
  it.each([
    [cost, false, "$0.15 when it succeeds"],
    [cost, true, "nothing"],
    [{ ...cost, charged: 0.075 }, true, "$0.075"],
    [{ ...cost, atRisk: 0.075 }, true, "$0.075 at risk: no answer came, and upstream may have billed it"],
    [
      { ...cost, charged: 0.15, atRisk: 0.075 },
      true,
      "$0.15, and $0.075 at risk: no answer came, and upstream may have billed it",
    ],
  ])("a job of %j, done %j, costs %j", (given, done, words) => {
    expect(costWords(given, done)).toBe(words);
  });

  it("names the parts of a limit that are used, and counts in millionths", () => {
    const used = { currency: "USD", limit: 50, charged: 0.1, reserved: 0.2, atRisk: 0 };
    expect(usedOf(used)).toBe(0.3);
    expect(usedWords(used)).toBe("$0.30 of $50.00 are used: $0.10 charged, $0.20 reserved for jobs under way");
    expect(usedWords({ ...used, charged: 0, reserved: 0 })).toBe("$0.00 of $50.00 are used");
    expect(resetWords("2026-12-01T00:00:00.000Z")).toBe("1 December");
  });
});

const result = (client: string, model: string, charged: number, atRisk = 0) => {
  return { client, model, jobs: 1, images: 2, charged, atRisk };
};
const bucket = (day: string, ...results: Usage["buckets"][number]["results"]): Usage["buckets"][number] => {
  return { start: `${day}T00:00:00.000Z`, end: `${day}T23:59:59.000Z`, results };
};
const buckets = [
  bucket("2026-02-01", result("a", "x", 0.1), result("b", "x", 0.2)),
  bucket("2026-02-28", result("a", "x", 0.2, 0.1), result("a", "y", 0)),
];

describe("the sums of a month", () => {
  it("has every day, empty ones too", () => {
    const days = daysOfMonth("2026-02", buckets);
    expect(days).toHaveLength(28);
    expect(days[0]).toEqual({ day: 1, jobs: 2, images: 4, charged: 0.3, atRisk: 0 });
    expect(days[1]).toEqual({ day: 2, jobs: 0, images: 0, charged: 0, atRisk: 0 });
    expect(days[27]).toEqual({ day: 28, jobs: 2, images: 4, charged: 0.2, atRisk: 0.1 });
    expect(daysOfMonth("2028-02", [])).toHaveLength(29);
  });

  it("adds up by client and model, the most expensive first", () => {
    const { all, rows } = totalsOf(buckets);
    expect(all).toEqual({ jobs: 4, images: 8, charged: 0.5, atRisk: 0.1 });
    expect(rows.map(({ client, model, charged, atRisk }) => [client, model, charged, atRisk])).toEqual([
      ["a", "x", 0.3, 0.1],
      ["b", "x", 0.2, 0],
      ["a", "y", 0, 0],
    ]);
  });

  it.each([
    [0, 1],
    [0.075, 0.1],
    [0.3, 0.5],
    [1, 1],
    [2.01, 5],
    [7, 10],
    [120, 200],
  ])("has an axis for %j that ends at %j", (highest, end) => {
    expect(axisEnd(highest)).toBeCloseTo(end, 9);
  });

  it.each([
    ["2026-01", -1, "2025-12"],
    ["2026-11", 2, "2027-01"],
  ])("%s and %j months is %s", (month, months, other) => {
    expect(monthAfter(month, months)).toBe(other);
  });
});
