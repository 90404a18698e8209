import { WORKFLOWS } from "../../schemas/paths.ts";
import { type Filter, type Show, STATUSES_OF } from "./job-list.ts";

/** The filter in an address's query, like `show=failed&workflow=image-from-text`; what it does not know means all. */
export function filterFromSearch(search: string): Filter {
  const query = new URLSearchParams(search);
  const show = query.get("show");
  const workflow = query.get("workflow");
  return {
    show: isShow(show) ? show : "all",
    workflow: WORKFLOWS.find((known) => known === workflow) ?? null,
  };
}

/** The query of a filter with its question mark; empty for all jobs. */
export function searchFromFilter(filter: Filter): string {
  const query = new URLSearchParams();
  if (filter.show !== "all") query.set("show", filter.show);
  if (filter.workflow !== null) query.set("workflow", filter.workflow);
  return query.size === 0 ? "" : `?${query}`;
}

function isShow(text: string | null): text is Show {
  return text !== null && Object.hasOwn(STATUSES_OF, text);
}
