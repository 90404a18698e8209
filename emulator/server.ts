import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { controlRoutes } from "./control-routes.ts";
import { refusalOf } from "./core/error-table.ts";
import type { FaultRule } from "./core/fault.ts";
import { DEFAULT_SETTINGS, type Settings } from "./core/settings.ts";
import { Painter } from "./drawing/painter.ts";
import { arrive, type Clock, type Emulator, Holds, systemClock } from "./emulator.ts";
import { EmulatorState } from "./emulator-state.ts";
import { generationRoutes } from "./generation-routes.ts";
import { fileJournal, memoryJournal } from "./journal.ts";
import { resultRoutes } from "./result-routes.ts";
import { taskRoutes } from "./task-routes.ts";
import { UploadFiles, uploadRoutes } from "./upload-routes.ts";
import { type EmulatorEnv, refusalResponse } from "./wire-response.ts";

export interface EmulatorOptions {
  readonly settings?: Partial<Settings>;
  readonly rules?: readonly FaultRule[];
  /** The folder for facts and images. Without it everything ends with the process. */
  readonly stateFolder?: string;
  readonly host?: string;
  /** 0 or absent: any free port. */
  readonly port?: number;
  readonly clock?: Clock;
}

export interface RunningEmulator {
  /** The address without a slash at its end, as `QWEN_BASE_URL` takes it. */
  readonly url: string;
  readonly state: EmulatorState;
  close(): Promise<void>;
}

/** Starts listening. Rejects with the system's error when the port is taken. */
export async function startEmulator(options: EmulatorOptions = {}): Promise<RunningEmulator> {
  const clock = options.clock ?? systemClock;
  const { stateFolder, host = "127.0.0.1" } = options;
  const stop = new AbortController();
  let origin = "";
  const journal = stateFolder === undefined ? memoryJournal() : fileJournal(join(stateFolder, "facts.jsonl"));
  const emulator: Emulator = {
    state: new EmulatorState(journal, { ...DEFAULT_SETTINGS, ...options.settings }, options.rules ?? [], clock.now),
    painter: new Painter(stateFolder === undefined ? null : join(stateFolder, "images")),
    uploads: new UploadFiles(stateFolder === undefined ? null : join(stateFolder, "uploads")),
    clock,
    holds: new Holds(),
    origin: () => origin,
    stopping: stop.signal,
  };

  // The SDK's asyncio classes add a slash to the addresses of tasks.
  const app = new Hono<EmulatorEnv>({ strict: false });
  app.route("/", generationRoutes(emulator));
  app.route("/", taskRoutes(emulator));
  app.route("/", uploadRoutes(emulator));
  app.route("/", resultRoutes(emulator));
  app.route("/", controlRoutes(emulator));
  app.notFound(() => refusalResponse(emulator, arrive(emulator), refusalOf("NotFound")));
  app.onError((error) => {
    console.error("emulator:", error);
    return refusalResponse(emulator, arrive(emulator), refusalOf("InternalError"));
  });

  const server = createAdaptorServer({ fetch: app.fetch });
  // Longer than any client keeps an idle connection: a reused connection must not be closed during a request.
  if ("keepAliveTimeout" in server) server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`no port: listening at ${String(address)}`);
  origin = `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
  return {
    url: origin,
    state: emulator.state,
    close: () =>
      new Promise((resolve) => {
        stop.abort();
        server.close(() => {
          emulator.state.close();
          resolve();
        });
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}
