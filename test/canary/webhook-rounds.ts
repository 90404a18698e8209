import type { Job } from "../../schemas/job.ts";
import type { DeliveryList } from "../../schemas/webhook.ts";
import { type ScriptedRequest, startScriptedServer } from "../support/scripted-server.ts";
import { until } from "../support/until.ts";
import { startDarkroom } from "./darkroom-process.ts";
import { finished, type Lab, submit } from "./job-rounds.ts";
import { recorderOf } from "./recorder.ts";
import type { Place } from "./search.ts";

const textOf = ({ url, headers, body }: ScriptedRequest) =>
  `${url.href}\n${JSON.stringify(headers, null, 1)}\n${body.toString()}`;

/**
 * Runs jobs that end in each way, each with a webhook. Returns all that the receiver gets, the logs of the deliveries, and what the
 * Worker leaves behind. `vars` are in open mode, because the receiver is on this machine. It answers with all that it got, so that
 * its answers are in the logs too; the first try of each event fails.
 */
export async function runWebhooks(
  lab: Omit<Lab, "recorder">,
  vars: Readonly<Record<string, string>>,
): Promise<Place[]> {
  const seen = new Set<unknown>();
  const receiver = await startScriptedServer({
    answer: (request) => {
      const id = request.headers["webhook-id"];
      const status = seen.has(id) ? 200 : 500;
      seen.add(id);
      return { status, headers: { "x-seen": String(request.headers["webhook-signature"]) }, body: textOf(request) };
    },
  });
  const darkroom = await startDarkroom(vars);
  try {
    const recorder = recorderOf(darkroom.baseUrl);
    const webhook = { url: `${receiver.baseUrl}/hook?note=${lab.control}` };
    const prompts = [`a red bicycle, ${lab.control}`, "echo:message", "echo:code", "echo:link", "echo:unauthorized"];
    const ended = prompts.map(async (prompt) => {
      const body = { prompt, webhook, metadata: { note: lab.control } };
      const job: Job = await submit({ ...lab, recorder }, body);
      await finished({ ...lab, recorder }, job.id);
      await until(
        `the events of ${prompt}`,
        async () => {
          const { body: log } = await recorder.ask(`/api/jobs/${job.id}/deliveries`);
          const { deliveries } = JSON.parse(log.toString()) as DeliveryList;
          return deliveries.length > 0 && deliveries.every(({ state }) => state === "delivered") ? true : undefined;
        },
        120_000,
      );
      await recorder.ask(`/api/jobs/${job.id}`, { headers: { accept: "text/plain" } });
    });
    await Promise.all(ended);
    const sent = receiver.requests.map((request): Place => {
      return { kind: "sent to a webhook", name: request.url.pathname, bytes: Buffer.from(textOf(request)) };
    });
    return [...recorder.places, ...sent, ...(await darkroom.end())];
  } finally {
    await darkroom.end();
    darkroom.forget();
    await receiver.close();
  }
}
