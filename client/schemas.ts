/** The package's entry `./schemas`: the zod schemas of the API, with their types, route paths and bounds. */
export * from "../schemas/bulk.ts";
export * from "../schemas/doctor.ts";
export * from "../schemas/event.ts";
export * from "../schemas/job.ts";
export * from "../schemas/limits.ts";
export * from "../schemas/operator.ts";
export * from "../schemas/paths.ts";
export * from "../schemas/problem.ts";
export * from "../schemas/submit.ts";
export * from "../schemas/usage.ts";
export * from "../schemas/webhook.ts";
