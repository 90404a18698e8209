import type { Patch } from "./platform/hooks.ts";

/** A fault put into the product on purpose: one line, and how many seeds at most the simulation needs to find it. */
export interface PlantedFault {
  readonly name: string;
  readonly story: string;
  readonly patch: Patch;
  readonly withinSeeds: number;
}

export const PLANTED: readonly PlantedFault[] = [
  {
    name: "record kept in memory",
    story: "A change of a job is kept in memory and not stored.",
    patch: {
      file: "worker/job/job-engine.ts",
      find: "else this.store.save(result.record);",
      replace: "else this.store.keepInMemory(result.record);",
    },
    withinSeeds: 20,
  },
];

export function plantedFault(name: string): PlantedFault {
  const found = PLANTED.find((fault) => fault.name === name);
  if (found !== undefined) return found;
  throw new Error(
    `no planted fault is called ${JSON.stringify(name)}; there are: ${PLANTED.map((each) => each.name).join(", ")}`,
  );
}
