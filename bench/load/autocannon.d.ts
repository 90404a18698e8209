/** The part of autocannon's API that the bench uses; autocannon has no types of its own. */
declare module "autocannon" {
  interface Request {
    readonly method?: "GET" | "POST";
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  }

  interface Client {
    setRequests(requests: readonly Request[]): void;
  }

  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Requests in all. */
    readonly amount: number;
    /** In seconds. */
    readonly timeout: number;
    readonly requests: readonly Request[];
    readonly setupClient: (client: Client) => void;
  }

  interface Histogram {
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  }

  interface Result {
    readonly requests: { readonly total: number };
    /** In milliseconds. */
    readonly latency: Histogram;
    readonly errors: number;
    readonly timeouts: number;
    readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>;
  }

  interface Run extends Promise<Result> {
    on(event: "response", told: () => void): void;
  }

  export default function autocannon(options: Options): Run;
  export type { Client, Options, Request, Result };
}
