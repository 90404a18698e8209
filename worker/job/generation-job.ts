import { DurableObject } from "cloudflare:workers";

export class GenerationJob extends DurableObject<Env> {}
