import { z } from "zod";
import { Timestamp } from "./job.ts";

/** One check and its result. */
export const DoctorCheck = z.object({
  name: z.string().meta({
    description:
      "`variables`, `tokens`, `spend limits`, `region`, `models`, `deadline`, `links`, `origins`, `webhooks`, `storage`, `objects`, `clock`, `upstream`, `key`, or `lane …`.",
  }),
  ok: z
    .boolean()
    .nullable()
    .meta({ description: "null: it could not be judged, because of another check that failed." }),
  seen: z.string().meta({ description: "What was found. For people." }),
  fix: z.string().nullable().meta({ description: "How to mend it; null where nothing is wrong. For people." }),
});
export type DoctorCheck = z.infer<typeof DoctorCheck>;

/** The result of `GET /api/doctor`. `ok`: no check failed. */
export const Diagnosis = z
  .object({
    ok: z.boolean(),
    service: z.literal("darkroom"),
    version: z.string(),
    time: Timestamp,
    checks: z.array(DoctorCheck),
  })
  .meta({ id: "Diagnosis" });
export type Diagnosis = z.infer<typeof Diagnosis>;
