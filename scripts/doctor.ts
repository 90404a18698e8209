/** `npm run doctor -- URL`: prints a Darkroom's diagnosis of itself, and how to mend it. Exits with 1 when something is wrong. */
import { Diagnosis } from "../schemas/doctor.ts";
import { paths } from "../schemas/paths.ts";
import { Problem } from "../schemas/problem.ts";
import { diagnosisText } from "../worker/http/core/terminal-text.ts";

const USAGE = `usage: npm run doctor -- URL
URL is where the service answers, e.g. https://darkroom.YOUR-SUBDOMAIN.workers.dev
The operator's token is read from DARKROOM_TOKEN, so that no list of processes shows it.`;

const ANSWER_WITHIN_MS = 60_000;

/** Ends the run with a message for people. */
class Trouble extends Error {}

function addressOf(text: string | undefined): URL {
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Trouble(USAGE);
  const isLocal = ["localhost", "[::1]"].includes(url.hostname) || /^127(\.\d{1,3}){3}$/.test(url.hostname);
  if (url.protocol === "http:" && !isLocal)
    throw new Trouble(`${url.origin} is not https: the token would travel in the clear.`);
  return url;
}

/** What to do about an answer that is no diagnosis. */
function wordsFor(url: URL, status: number, body: unknown, hasToken: boolean): string {
  const problem = Problem.safeParse(body);
  if (!problem.success) return `${url.origin} answers ${status}, but not as a Darkroom does. Is the address right?`;
  const { code, detail } = problem.data;
  switch (code) {
    case "unauthorized":
      return hasToken
        ? "The token in DARKROOM_TOKEN belongs to no client here: ADMIN_TOKEN_SHA256 must hold its SHA-256 (npm run token -- admin makes both)."
        : "The doctor speaks to the operator only: DARKROOM_TOKEN=… npm run doctor -- URL. npm run token -- admin makes such a token.";
    case "operator_only":
      return "The token in DARKROOM_TOKEN is a client's; the doctor speaks to the operator only. npm run token -- admin makes the operator's.";
    default:
      return `${url.origin} answers ${status} ${code}: ${detail}`;
  }
}

async function diagnosisOf(url: URL): Promise<Diagnosis> {
  const token = process.env.DARKROOM_TOKEN;
  let response: Response;
  try {
    response = await fetch(new URL(paths.doctor, url), {
      headers: { accept: "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Trouble(
      `${url.origin} does not answer: ${cause}\nIs the address right, and the Worker deployed (npm run deploy)?`,
    );
  }
  const body: unknown = await response.json().catch(() => null);
  const diagnosis = Diagnosis.safeParse(body);
  if (diagnosis.success) return diagnosis.data;
  throw new Trouble(wordsFor(url, response.status, body, token !== undefined));
}

try {
  const diagnosis = await diagnosisOf(addressOf(process.argv[2]));
  console.log(diagnosisText(diagnosis));
  process.exitCode = diagnosis.ok ? 0 : 1;
} catch (error) {
  if (!(error instanceof Trouble)) throw error;
  console.error(error.message);
  process.exitCode = error.message === USAGE ? 2 : 1;
}
