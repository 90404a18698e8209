/** The exports of `cloudflare:workers` that the product imports. */
export class DurableObject<Bindings = unknown> {
  protected readonly ctx: object;
  protected readonly env: Bindings;

  constructor(ctx: object, env: Bindings) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class WorkerEntrypoint<Bindings = unknown> extends DurableObject<Bindings> {}
