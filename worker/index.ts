import { compatApp } from "./compat/app.ts";
import { app } from "./http/app.ts";
import { pageAsset } from "./http/page-asset.ts";

export { ClientCatalog } from "./catalog/client-catalog.ts";
export { GenerationJob } from "./job/generation-job.ts";
export { LaneDispatcher } from "./lane/lane-dispatcher.ts";

export default {
  fetch: async (request: Request, env: Env, context: ExecutionContext) =>
    (await pageAsset(request, env)) ?? (compatApp(request.url) ?? app).fetch(request, env, context),
} satisfies ExportedHandler<Env>;
