/** `npm run emulator`: DashScope on this machine. The first line on stdout is `emulator listening on http://…`. */
import { parseCommandLine } from "./options.ts";
import { startEmulator } from "./server.ts";

const parsed = parseCommandLine(process.argv.slice(2));
switch (parsed.kind) {
  case "help":
    console.log(parsed.text);
    break;
  case "wrong":
    console.error(`emulator: ${parsed.message}\nnpm run emulator -- --help lists the options.`);
    process.exitCode = 2;
    break;
  case "run": {
    const { settings, rules, stateFolder, host, port } = parsed.options;
    try {
      const emulator = await startEmulator({
        settings,
        rules,
        host,
        port,
        ...(stateFolder === null ? {} : { stateFolder }),
      });
      console.log(`emulator listening on ${emulator.url}`);
      const kept = Object.keys(emulator.state.patch);
      if (kept.length > 0) {
        console.error(`emulator: settings changed in an earlier run still hold: ${kept.join(", ")}`);
        console.error(`emulator: curl -X POST ${emulator.url}/__emulator/reset forgets them, and everything else`);
      }
      const stop = (): void => void emulator.close().then(() => process.exit(0));
      process.once("SIGINT", stop);
      process.once("SIGTERM", stop);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      const why = code === "EADDRINUSE" ? `port ${port} is in use: choose another with --port` : String(error);
      console.error(`emulator: cannot start: ${why}`);
      process.exitCode = 1;
    }
  }
}
