import { DurableObject } from "cloudflare:workers";

export class ClientCatalog extends DurableObject<Env> {}
