import { type ComponentProps, type ComponentType, useEffect, useRef, useState } from "react";
import { useLocation, useRoute, useSearch } from "wouter";
import { navigate as go } from "wouter/use-browser-location";
import { paths } from "../../schemas/paths.ts";
import { markPlace } from "../components/focus.ts";
import { MISSING_PART } from "../components/late-dialog.ts";
import type Viewer from "../components/viewer.tsx";
import { addAsReference } from "../data/job-actions.ts";
import { jobList } from "../data/live-jobs.ts";
import { useNeighbours } from "../data/neighbours.ts";
import { announce, notify } from "../data/notices.ts";
import { createStore, useStore } from "../data/store.ts";
import { lookAt } from "../data/wall.ts";
import { focusPrompt } from "./wall/job-card.tsx";

type ViewerPart = ComponentType<ComponentProps<typeof Viewer>>;

/** The viewer's code; null until it is loaded. */
const part = createStore<ViewerPart | null>(null);

async function loadPart(): Promise<boolean> {
  if (part.get() !== null) return true;
  try {
    const { default: Loaded } = await import("../components/viewer.tsx");
    part.set(Loaded);
    return true;
  } catch {
    notify("failed", MISSING_PART);
    return false;
  }
}

/** A history entry that opened the viewer, so that closing it goes back to the one before. */
const OPENED = { viewer: true };

function addressOf(id: string, place: number): string {
  return `${paths.jobPage(id)}?view=${place + 1}`;
}

/** Opens the viewer over a job's page, as a step of the browser's history: Back closes it. Never rejects. */
export async function openViewer(id: string, place: number): Promise<void> {
  const isStillHere = markPlace();
  if ((await loadPart()) && isStillHere()) go(addressOf(id, place), { state: OPENED });
}

/**
 * The viewer, when the address has `?view=`. It is drawn beside the job's page and not in it, so that it stays open from one
 * job to the next.
 */
export function ViewerHost() {
  const [isJob, params] = useRoute("/jobs/:id");
  const view = Number(new URLSearchParams(useSearch()).get("view") ?? Number.NaN);
  const [, navigate] = useLocation();
  const Part = useStore(part);
  const { jobs } = useStore(jobList);
  const id = isJob ? params.id : "";
  const isAsked = isJob && Number.isInteger(view) && view > 0;
  const { before, after } = useNeighbours(id, hasImages);

  useEffect(() => {
    if (isAsked) void loadPart();
  }, [isAsked]);

  const job = jobs.get(id);
  const images = job?.output?.images ?? [];
  const place = Math.min(view, images.length) - 1;
  const image = images[place];
  // The last image stays while the viewer closes, and while the next job is loaded.
  const [shown, setShown] = useState<{ job: typeof job; place: number } | null>(null);
  if (image !== undefined && isAsked && (shown?.job !== job || shown?.place !== place)) setShown({ job, place });

  // Back leads to the job at which the viewer was opened. A person who stepped on to another job stays at that one.
  const wasAsked = useRef(false);
  const shownId = shown?.job?.id;
  useEffect(() => {
    if (wasAsked.current && !isAsked && isJob && shownId !== undefined && shownId !== id) {
      go(paths.jobPage(shownId), { replace: true });
    }
    wasAsked.current = isAsked;
  }, [isAsked, isJob, shownId, id]);
  if (Part === null || shown?.job === undefined) return null;

  const close = () => {
    if (history.state?.viewer === true) history.back();
    else navigate(paths.jobPage(id), { replace: true });
  };
  const show = (otherId: string, otherPlace: number) => {
    lookAt(otherId);
    const other = jobList.get().jobs.get(otherId);
    announce(`Image ${otherPlace + 1} of ${other?.output?.images.length ?? 1}: ${other?.prompt ?? ""}`);
    go(addressOf(otherId, otherPlace), { replace: true, state: history.state });
  };
  const step = async (direction: 1 | -1) => {
    const other = place + direction;
    if (images[other] !== undefined) show(id, other);
    else {
      const isStillHere = markPlace();
      const next = direction === 1 ? await after.find() : await before.find();
      if (next === null || !isStillHere()) return;
      const count = jobList.get().jobs.get(next)?.output?.images.length ?? 1;
      show(next, direction === 1 ? 0 : count - 1);
    }
  };
  const refer = async () => {
    if (job === undefined || image === undefined) return;
    const isStillHere = markPlace();
    await addAsReference(job, image);
    if (isStillHere()) focusPrompt(navigate);
  };
  const hasStep = (direction: 1 | -1) =>
    images[place + direction] !== undefined || (direction === 1 ? after.exists : before.exists);
  return (
    <Part
      job={shown.job}
      place={shown.place}
      open={isAsked && image !== undefined}
      onClose={close}
      onStep={step}
      onRefer={refer}
      hasBefore={hasStep(-1)}
      hasAfter={hasStep(1)}
    />
  );
}

function hasImages(id: string): boolean {
  return (jobList.get().jobs.get(id)?.output?.images.length ?? 0) > 0;
}
