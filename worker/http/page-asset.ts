/** Of the page's parts, each named by its content. `wrangler.toml` sends these paths here first. */
const ASSETS = "/assets/";

/**
 * A part of the page; null for any other path, and for a part that this version does not have: the asset server gives the page
 * itself for every path it does not know, and a browser that met it amid a deploy would keep it for a year in the place of
 * a script.
 */
export async function pageAsset(request: Request, env: Env): Promise<Response | null> {
  if (!request.url.includes(ASSETS) || !new URL(request.url).pathname.startsWith(ASSETS)) return null;
  const answer = await env.ASSETS.fetch(request);
  if (answer.headers.get("content-type")?.startsWith("text/html") !== true) return answer;
  await answer.body?.cancel();
  return null;
}
