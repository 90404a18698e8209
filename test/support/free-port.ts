import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Above the ports that browsers refuse to open, below the ports that systems assign by themselves. */
const LEAST_PORT = 11_000;
const MOST_PORT = 32_000;

/** A port that is free now, and that no connection or server gets by chance before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LEAST_PORT, MOST_PORT);
    const server = createServer();
    const isFree = await new Promise<boolean>((tried) => {
      server.once("error", () => tried(false));
      server.listen(port, "127.0.0.1", () => tried(true));
    });
    await new Promise<void>((closed) => server.close(() => closed()));
    if (isFree) return port;
  }
}
