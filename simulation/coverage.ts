import type { FactType } from "../worker/job/core/facts.ts";
import { MACHINE, PLACES as MACHINE_PLACES, type Place, placeOf } from "../worker/job/core/machine.ts";
import type { StoredRecord } from "../worker/job/core/record.ts";

/** The places of the state machine. */
export const PLACES = Object.keys(MACHINE_PLACES) as readonly Place[];
export const FACTS = Object.keys(MACHINE) as readonly FactType[];

/** The function through which all facts enter the state machine. The hooks wrap it to count them. */
export const COUNTED = { file: "worker/job/core/machine.ts", name: "transition" } as const;

export interface Cell {
  taken: number;
  refused: number;
}

/** How often each fact came in each place, and whether it was taken. */
export class Coverage {
  readonly cells = new Map<string, Cell>();

  count(record: StoredRecord, fact: FactType, isTaken: boolean): void {
    const key = `${placeOf(record)} × ${fact}`;
    const cell = this.cells.get(key) ?? { taken: 0, refused: 0 };
    if (isTaken) cell.taken += 1;
    else cell.refused += 1;
    this.cells.set(key, cell);
  }

  add(cells: Readonly<Record<string, Cell>>): void {
    for (const [key, { taken, refused }] of Object.entries(cells)) {
      const cell = this.cells.get(key) ?? { taken: 0, refused: 0 };
      this.cells.set(key, { taken: cell.taken + taken, refused: cell.refused + refused });
    }
  }

  /**
   * A table as text: one row for each fact, one column for each place; `.` where the fact never came, lower case where it was
   * only refused.
   */
  table(): string[] {
    const width = Math.max(...FACTS.map((fact) => fact.length));
    const legend = PLACES.map((place, index) => `  ${letter(index)} ${place}`);
    const head = `${"".padEnd(width)}  ${PLACES.map((_place, index) => letter(index)).join(" ")}`;
    const rows = FACTS.map((fact) => {
      const marks = PLACES.map((place) => {
        const cell = this.cells.get(`${place} × ${fact}`);
        if (cell === undefined) return ".";
        return cell.taken > 0 ? "X" : "x";
      });
      return `${fact.padEnd(width)}  ${marks.join(" ")}`;
    });
    const came = this.cells.size;
    const taken = [...this.cells.values()].filter((cell) => cell.taken > 0).length;
    return [
      `place × fact: ${came} of ${PLACES.length * FACTS.length} cells were reached, ${taken} of them taken (X taken, x refused only, . never)`,
      head,
      ...rows,
      ...legend,
    ];
  }
}

function letter(index: number): string {
  return String.fromCharCode(97 + index);
}
