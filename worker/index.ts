import { app } from "./http/app.ts";

export { ClientCatalog } from "./catalog/client-catalog.ts";
export { GenerationJob } from "./job/generation-job.ts";
export { LaneDispatcher } from "./lane/lane-dispatcher.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
