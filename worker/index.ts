import { compatApp } from "./compat/app.ts";
import { app } from "./http/app.ts";
import { dropUnread } from "./http/submit-body.ts";
import { mcpApp } from "./mcp/app.ts";

export { ClientCatalog } from "./catalog/client-catalog.ts";
export { GenerationJob } from "./job/generation-job.ts";
export { LaneDispatcher } from "./lane/lane-dispatcher.ts";
export { OperatorLog } from "./operator/operator-log.ts";
export { DarkroomService } from "./service.ts";

/** Parts of the page, each named by its content. `wrangler.toml` sends these paths to the Worker first. */
const ASSETS = "/assets/";

/**
 * A part of the page; null for any other path, and for a part that this version does not have. The asset server answers with the
 * page itself for every path that it does not know, and a browser that got that during a deploy would keep it for a year in
 * place of a script.
 */
async function pageAsset(request: Request, env: Env): Promise<Response | null> {
  if (!request.url.includes(ASSETS) || !new URL(request.url).pathname.startsWith(ASSETS)) return null;
  const answer = await env.ASSETS.fetch(request);
  if (answer.headers.get("content-type")?.startsWith("text/html") !== true) return answer;
  await answer.body?.cancel();
  return null;
}

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext) {
    const asset = await pageAsset(request, env);
    if (asset !== null) return asset;
    const answer = await (compatApp(request.url) ?? mcpApp(request.url) ?? app).fetch(request, env, context);
    await dropUnread(request);
    return answer;
  },
} satisfies ExportedHandler<Env>;
