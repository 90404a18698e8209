import type { Page, Route } from "playwright-core";
import sharp from "sharp";
import { EventPage, FeedFrame, type JobEvent } from "../../schemas/event.ts";
import { type Job, JobCounts, JobList, JobStatus, type JobSummary } from "../../schemas/job.ts";
import { Health, Identity, Limits } from "../../schemas/limits.ts";
import { foldText, searchWords } from "../../schemas/search-text.ts";
import { Usage } from "../../schemas/usage.ts";
import { listedFromJob } from "../../web/state/listed-job.ts";
import { iso } from "./fixture-jobs.ts";

/** The API's answers for a page that is tested without a server. Every answer is checked by the API's own schemas. */
export interface FixtureWorld {
  readonly jobs: readonly Job[];
  readonly limits: Limits;
  /** The jobs' logs, by job. */
  readonly logs?: Readonly<Record<string, readonly JobEvent[]>>;
  readonly health?: Partial<Health>;
  readonly identity?: Identity;
  /** Whether there is spend on most days of the month, and most of a limit is used. */
  readonly spent?: boolean;
  /** Whether every call except health is answered 401. */
  readonly signedOut?: boolean;
  /** Whether no socket opens. */
  readonly noFeed?: boolean;
}

const FEED = /\/api\/events(\?|$)/;

/** Answers the page's calls from the world, which may change between calls. */
export async function serveWorld(page: Page, world: () => FixtureWorld): Promise<void> {
  await page.route(/\/api\//, (route) => answer(route, world()));
  await page.routeWebSocket(FEED, (socket) => {
    if (world().noFeed) {
      void socket.close({ code: 1011 });
      return;
    }
    socket.onMessage((text) => text === "ping" && socket.send("pong"));
    socket.send(JSON.stringify(FeedFrame.parse({ type: "ready", cursor: 1 })));
  });
  await page.routeWebSocket(/\/api\/jobs\//, (socket) => {
    const job = world().jobs.find(({ id }) => socket.url().includes(id));
    if (job === undefined) return;
    socket.send(JSON.stringify({ type: "job", seq: job.seq, event: null, job }));
  });
}

async function answer(route: Route, world: FixtureWorld): Promise<void> {
  const { pathname, searchParams } = new URL(route.request().url());
  if (pathname === "/api/health") return fulfil(route, 200, healthOf(world));
  if (world.signedOut) return problem(route, 401, "unauthorized", "Authentication is needed", "Send a token.");
  if (pathname === "/api/session") return fulfil(route, 200, identityOf(world));
  if (pathname === "/api/jobs/counts") return fulfil(route, 200, countsOf(world));
  if (pathname === "/api/usage") return fulfil(route, 200, usageOf(world, searchParams));
  if (pathname === "/api/limits") return fulfil(route, 200, Limits.parse(world.limits));
  if (pathname === "/api/jobs") return fulfil(route, 200, listOf(world, searchParams));
  const [, id = "", , index] = /^\/api\/jobs\/([^/]+)(\/images\/(\d+))?/.exec(pathname) ?? [];
  const job = world.jobs.find((known) => known.id === id);
  if (job === undefined) return problem(route, 404, "job_not_found", "No such job", "There is no such job.");
  if (pathname.endsWith("/events")) return fulfil(route, 200, eventsOf(world, id, Number(searchParams.get("after"))));
  if (index === undefined) return fulfil(route, 200, job);
  const image = job.output?.images[Number(index)];
  if (image === undefined) return problem(route, 404, "image_not_found", "No such image", "There is no such image.");
  const body = await drawPicture(`${id}${index}`, image.width, image.height);
  return route.fulfill({ status: 200, contentType: "image/png", body });
}

function eventsOf(world: FixtureWorld, id: string, after: number): EventPage {
  const events = (world.logs?.[id] ?? []).filter(({ seq }) => seq > after);
  return EventPage.parse({ events, nextAfter: events.at(-1)?.seq ?? after });
}

function healthOf(world: FixtureWorld): Health {
  return Health.parse({
    status: "ok",
    service: "darkroom",
    version: "0.1.0",
    time: new Date().toISOString(),
    upstream: { region: "sg", host: "dashscope-intl.aliyuncs.com", keyConfigured: true },
    lanes: [],
    authMode: world.signedOut ? "token" : "open",
    ...world.health,
  });
}

function identityOf({ identity }: FixtureWorld): Identity {
  return Identity.parse(identity ?? { client: "local", role: "client", clients: ["local"] });
}

/** The usage of every day of the query. There are no buckets of months, because no view draws them. */
function usageOf({ spent = false }: FixtureWorld, query: URLSearchParams): Usage {
  const [from, to] = ["from", "to"].map((key) => Date.parse(query.get(key) ?? iso(0).slice(0, 10)));
  const days = Array.from({ length: ((to ?? 0) - (from ?? 0)) / DAY_MS + 1 }, (_, at) => (from ?? 0) + at * DAY_MS);
  const results = (at: number) => {
    const images = spent ? (at * 7) % 23 : 0;
    if (images === 0) return [];
    const shared = { client: "studio", jobs: images, images };
    const max = { ...shared, model: "qwen-image-max", charged: images * 0.075, atRisk: at % 6 === 0 ? 0.15 : 0 };
    return [max, { ...shared, model: "qwen-image-3.0-pro", charged: 0, atRisk: 0 }];
  };
  const budget = {
    client: "studio",
    limit: 25,
    alertAt: 0.8,
    charged: 20.4,
    reserved: 0.45,
    atRisk: 0.6,
    resetsAt: new Date((to ?? 0) + DAY_MS).toISOString(),
  };
  return Usage.parse({
    currency: "USD",
    buckets: days.map((day, at) => ({
      start: new Date(day).toISOString(),
      end: new Date(day + DAY_MS).toISOString(),
      results: results(at),
    })),
    budget: spent ? budget : null,
    budgets: spent ? [budget] : [],
  });
}

const DAY_MS = 86_400_000;

function countsOf({ jobs }: FixtureWorld): JobCounts {
  const count = (is: (job: Job) => boolean) => jobs.filter(is).length;
  const models = [...new Set(jobs.map(({ model }) => model))];
  return JobCounts.parse({
    isAll: true,
    status: Object.fromEntries(JobStatus.options.map((name) => [name, count(({ status }) => status === name)])),
    models: models.map((model) => ({ model, jobs: count((job) => job.model === model) })),
    metadata: [],
  });
}

/** The answer to a query of the list. */
export function listOf(world: FixtureWorld, query: URLSearchParams) {
  const statuses = query.get("status")?.split(",") ?? null;
  const words = searchWords(query.get("q") ?? "");
  const jobs = world.jobs
    .filter(({ request }) => words.every((word) => foldText(request.prompt).includes(word)))
    .filter((job) => statuses === null || statuses.includes(job.status))
    .map((job): JobSummary => ({ ...listedFromJob(job), client: "studio" }))
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  // A cursor is the time of the page's last job, so that it stays valid while jobs arrive; the default limit is the API's own.
  const cursor = query.get("cursor");
  const left = cursor === null ? jobs : jobs.filter(({ createdAt }) => createdAt < cursor);
  const page = left.slice(0, Number(query.get("limit") ?? 20));
  const nextCursor = page.length < left.length ? (page.at(-1)?.createdAt ?? null) : null;
  return JobList.parse({ jobs: page, nextCursor, feedCursor: 1 });
}

function fulfil(route: Route, status: number, body: unknown): Promise<void> {
  return route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
}

function problem(route: Route, status: number, code: string, title: string, detail: string): Promise<void> {
  return fulfil(route, status, { type: "about:blank", title, status, detail, code, requestId: "req_fixture" });
}

const pictures = new Map<string, Buffer>();

/** Hills under a sky, in other colours for each seed, so that it looks like a picture. */
async function drawPicture(seed: string, width: number, height: number): Promise<Buffer> {
  const key = `${seed} ${width} ${height}`;
  const known = pictures.get(key);
  if (known !== undefined) return known;
  let hash = 7;
  for (const letter of seed) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
  const next = () => {
    hash = (Math.imul(hash, 1_664_525) + 1_013_904_223) >>> 0;
    return hash / 2 ** 32;
  };
  const hue = Math.floor(next() * 360);
  const hills = [0.5, 0.62, 0.74, 0.86].map((level, depth) => {
    const points = Array.from({ length: 9 }, (_, step) => {
      const y = height * (level + (next() - 0.5) * 0.18);
      return `${(width / 8) * step},${y}`;
    });
    return `<polygon fill="hsl(${hue + depth * 14} ${38 + depth * 6}% ${52 - depth * 12}%)" points="0,${height} ${points.join(" ")} ${width},${height}"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <defs><linearGradient id="sky" x2="0" y2="1"><stop stop-color="hsl(${hue + 190} 55% 62%)"/><stop offset="0.6" stop-color="hsl(${hue + 30} 75% 82%)"/></linearGradient>
    <filter id="soft"><feGaussianBlur stdDeviation="${width / 260}"/></filter></defs>
    <rect width="100%" height="100%" fill="url(#sky)"/>
    <circle cx="${width * (0.2 + next() * 0.6)}" cy="${height * (0.18 + next() * 0.2)}" r="${Math.min(width, height) * 0.08}" fill="hsl(${hue + 40} 95% 92%)" filter="url(#soft)"/>
    <g filter="url(#soft)">${hills.join("")}</g></svg>`;
  const png = await sharp(Buffer.from(svg)).png().toBuffer();
  pictures.set(key, png);
  return png;
}

/** Two lanes at work and one on hold, and the models that they belong to. */
export function fixtureLimits(): Limits {
  return {
    lanes: [
      lane("qwen-image-max", { queued: 4, inProgress: 2, nextStartAt: iso(22_000), typicalDurationMs: 17_800 }),
      lane("qwen-image-edit-max", { pace: 0.75, startsPerMinute: 1.5, queued: 1, typicalDurationMs: 31_000 }),
      lane("z-image-turbo", {
        quota: { starts: 2, periodMs: 1000, inProgress: null },
        startsPerMinute: 120,
        typicalDurationMs: 3_800,
      }),
      lane("wan2.6-t2i", {
        quota: { starts: 5, periodMs: 1000, inProgress: 5 },
        startsPerMinute: 300,
        mode: "blocked",
        queued: 2,
        blocked: {
          code: "AccessDenied.Unpurchased",
          hint: "This account has not activated the model. Open Model Studio in the region of the key (sg) and activate it, or set another key with `npx wrangler secret put QWEN_API_KEY`.",
          since: iso(-340_000),
          nextProbeAt: iso(41_000),
        },
      }),
    ],
    models: [
      {
        model: "qwen-image-max",
        workflows: ["image-from-text"],
        default: ["image-from-text"],
        sizes: {
          kind: "fixed",
          sizes: ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"],
          default: "1664*928",
        },
        maxN: 1,
        ...common("high", { starts: 2, periodMs: 60_000, inProgress: null }),
        images: { min: 0, max: 0 },
      },
      {
        model: "qwen-image-edit-max",
        workflows: ["image-from-reference"],
        default: ["image-from-reference"],
        sizes: { kind: "sides", min: 512, max: 2048, default: null },
        maxN: 6,
        ...common("high", { starts: 2, periodMs: 60_000, inProgress: null }),
        images: { min: 1, max: 3 },
      },
      {
        model: "wan2.6-t2i",
        workflows: ["image-from-text"],
        default: [],
        sizes: { kind: "area", minArea: 1280 ** 2, maxArea: 1440 ** 2, maxRatio: 4, named: [], default: "1280*1280" },
        maxN: 4,
        ...common("low", { starts: 5, periodMs: 1000, inProgress: 5 }),
        images: { min: 0, max: 0 },
      },
    ],
  };
}

function lane(model: string, change: Partial<Limits["lanes"][number]>): Limits["lanes"][number] {
  return {
    model,
    quota: { starts: 2, periodMs: 60_000, inProgress: null },
    pace: 1,
    startsPerMinute: 2,
    mode: "open",
    queued: 0,
    inProgress: 0,
    nextStartAt: null,
    typicalDurationMs: null,
    blocked: null,
    ...change,
  };
}

function common(priceClass: "low" | "medium" | "high", quota: Limits["models"][number]["quota"]) {
  return {
    sizesWithImages: null,
    defaultN: 1,
    inputSides: null,
    promptMaxChars: 800,
    negativePromptMaxChars: 500,
    supports: {
      negativePrompt: true,
      promptExtend: true,
      promptExtendMode: false,
      thinking: false,
      seed: true,
      watermark: true,
    },
    asynchronous: false,
    priceClass,
    price: { currency: "USD", perImage: priceClass === "high" ? 0.075 : 0.03, perImageExtended: null },
    quota,
  };
}
