import { createLinks } from "../auth/links.ts";
import { linkSettingsOf } from "../env.ts";
import type { Place } from "../lane/contract.ts";
import type { JobView, ShownJob } from "./contract.ts";
import type { JobRecord } from "./core/job-record.ts";
import { toJobView } from "./core/job-view.ts";
import { presentJob } from "./core/present.ts";
import { retryAfterSeconds } from "./core/retry-after.ts";

/** The job as it was shown last: most who ask find nothing changed, and get what was made for those before them. */
export class JobDisplay {
  readonly #env: Env;
  #view: { readonly record: JobRecord; readonly place: Place | null; readonly view: JobView } | null = null;
  #text: { readonly view: JobView; readonly origin: string; readonly epoch: string; readonly json: string } | null =
    null;

  constructor(env: Env) {
    this.#env = env;
  }

  viewOf(record: JobRecord, place: Place | null): JobView {
    const known = this.#view;
    if (known !== null && known.record === record && known.place === place) return known.view;
    const view = toJobView(record, place);
    this.#view = { record, place, view };
    return view;
  }

  /** The view as text for whoever came by `origin`. */
  show(view: JobView, origin: string, nowMs: number): ShownJob {
    const links = createLinks(linkSettingsOf(this.#env), origin, nowMs);
    const { epoch } = links;
    const known = this.#text;
    const isKnown = known !== null && known.view === view && known.origin === origin && known.epoch === epoch;
    const json = isKnown ? known.json : JSON.stringify(presentJob(view, links));
    if (!isKnown) this.#text = { view, origin, epoch, json };
    return { tag: view.tag, epoch, retryAfterSeconds: retryAfterSeconds(view, nowMs), json };
  }
}
