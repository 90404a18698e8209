import { describe, expect, it } from "vitest";
import { parseCommandLine } from "./options.ts";

describe("parseCommandLine", () => {
  it("reads every option", () => {
    const args = `--port 9000 --host localhost --latency 1.5s --spread 0 --gateway-timeout 2m --quota fixed --quota-scale 0.1
      --quotas {"qwen-image":{"starts":5}} --count-refused --task-overflow refuse --max-sizes 2048 --api-key sk-a --api-key sk-b
      --expiry 5s --images small-file --image-bytes 1500000 --seed 3 --state there`;
    expect(parseCommandLine([...args.split(/\s+/), "--fault", "429 x2 prompt=a b"])).toMatchObject({
      kind: "run",
      options: {
        port: 9000,
        host: "localhost",
        stateFolder: "there",
        rules: [{ times: 2, match: { prompt: "a b" } }],
        settings: {
          latencyMs: 1500,
          latencySpread: 0,
          gatewayTimeoutMs: 120_000,
          quota: "fixed",
          quotaScale: 0.1,
          quotas: { "qwen-image": { starts: 5 } },
          countRefused: true,
          taskOverflow: "refuse",
          maxSizes: "2048",
          apiKeys: ["sk-a", "sk-b"],
          linkExpiryMs: 5000,
          images: "small-file",
          imageBytes: 1_500_000,
          seed: 3,
        },
      },
    });
  });

  it("takes settings as JSON, with flags before them", () => {
    const parsed = parseCommandLine(["--settings", '{"latencyMs":1,"seed":9}', "--latency", "2"]);
    expect(parsed).toMatchObject({ kind: "run", options: { settings: { latencyMs: 2, seed: 9 } } });
  });

  it("sets only what was given", () => {
    expect(parseCommandLine([])).toMatchObject({ kind: "run", options: { settings: {}, port: 0, stateFolder: null } });
  });

  it.each([
    [["--latency", "soon"], "--latency"],
    [["--port", "99999"], "--port"],
    [["--quota", "none"], "quota"],
    [["--quotas", "{"], "--quotas must be JSON"],
    [["--quotas", '{"dall-e":{}}'], "no such model: dall-e"],
    [["--fault", "nonsense"], "unknown fault"],
    [["--settings", '{"speed":1}'], "--settings"],
    [["--what"], "--what"],
  ])("names what is wrong with %j", (args, words) => {
    const parsed = parseCommandLine(args);
    expect(parsed.kind === "wrong" && parsed.message).toContain(words);
  });

  it("prints its help", () => {
    expect(parseCommandLine(["--help"])).toMatchObject({ kind: "help" });
  });
});
