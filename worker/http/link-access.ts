import { isTrustedOrigin } from "../auth/authenticate.ts";
import { checkLink, type LinkTarget } from "../auth/links.ts";
import type { Viewer } from "../job/contract.ts";
import { identify, isUpgrade, requireAsker, viewerOf } from "./asker.ts";
import { type HttpContext, requestOrigin } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

export interface LinkViewer {
  readonly viewer: Viewer;
  /** When the link ends by which the viewer came; null for one who proved who they are. */
  readonly linkEndsAtMs: number | null;
}

/**
 * Who may see what a signed link can open: its bearer (as one who may see it whosever it is), else whoever proves who they
 * are. A link that opens nothing is refused only when there is nothing better.
 */
export function linkViewer(c: HttpContext, target: LinkTarget): LinkViewer {
  const link = checkLink(c.get("config"), target, new URL(c.req.url).searchParams, Date.now());
  if (link.state === "valid") {
    refuseForeignSocket(c);
    return { viewer: null, linkEndsAtMs: link.endsAtMs };
  }
  if (link.state === "invalid" && !identify(c).ok) {
    throw new ProblemError("invalid_link", "The link is not valid, or no longer. GET the job again for a new one.");
  }
  const asker = requireAsker(c);
  return { viewer: viewerOf(c, asker), linkEndsAtMs: null };
}

/** A browser's socket is open to any page unless we look; a link that leaked to another site's page shall not work there. */
function refuseForeignSocket(c: HttpContext): void {
  const origin = c.req.header("origin");
  if (!isUpgrade(c) || origin === undefined || isTrustedOrigin(c.get("config"), requestOrigin(c), origin)) return;
  throw new ProblemError(
    "forbidden_origin",
    "Pages of other origins may not open this; ALLOWED_ORIGINS lists those that may.",
  );
}
