import { DurableObject } from "cloudflare:workers";

export class LaneDispatcher extends DurableObject<Env> {}
