import { createHash } from "node:crypto";
import { Job } from "../../schemas/job.ts";
import { NEIGHBOUR, tokenOf } from "./targets.ts";

/** A client that submits ordinary jobs, one after the other, during the attacks. */
export class Neighbour {
  readonly #baseUrl: string;
  readonly #left = new AbortController();
  #done: Promise<void> | null = null;
  /** Jobs that succeeded, each with an image whose bytes match the job. */
  succeeded = 0;
  readonly complaints: string[] = [];

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  begin(): void {
    this.#done = this.#live();
  }

  /** Stops, and resolves when the current job is done. */
  async end(): Promise<void> {
    this.#left.abort();
    await this.#done;
  }

  async #live(): Promise<void> {
    for (let number = 0; !this.#left.signal.aborted; number++) {
      try {
        const complaint = await this.#oneJob(number);
        if (complaint === null) this.succeeded += 1;
        else this.complaints.push(complaint);
      } catch (error) {
        this.complaints.push(String(error));
      }
    }
  }

  async #oneJob(number: number): Promise<string | null> {
    const headers = {
      authorization: `Bearer ${tokenOf(NEIGHBOUR)}`,
      "content-type": "application/json",
      prefer: "wait=60",
    };
    const body = JSON.stringify({ prompt: `a quiet house, ${number}` });
    const signal = AbortSignal.timeout(90_000);
    const answer = await fetch(`${this.#baseUrl}/api/workflows/image-from-text`, {
      method: "POST",
      headers,
      body,
      signal,
    });
    const text = await answer.text();
    if (answer.status !== 200) return `a submission was answered ${answer.status}: ${text}`;
    const { status, output } = Job.parse(JSON.parse(text));
    const [image] = output?.images ?? [];
    if (status !== "succeeded" || image === undefined) return `a job is ${status}: ${text}`;
    const bytes = Buffer.from(await (await fetch(image.url, { signal })).arrayBuffer());
    const isWhole = createHash("sha256").update(bytes).digest("hex") === image.sha256;
    return isWhole ? null : `an image of ${bytes.length} bytes is not what its job says: ${text}`;
  }
}
