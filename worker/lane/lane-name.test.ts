import { describe, expect, it } from "vitest";
import { laneStub } from "../stubs.ts";
import { laneLocation, laneModel, laneName } from "./lane-name.ts";

describe("laneName", () => {
  it("names host, port and model, and gives the model back", () => {
    const name = laneName({ upstreamHost: "127.0.0.1:9090" }, "qwen-image-max");
    expect(name).toBe("127.0.0.1:9090|qwen-image-max");
    expect(laneModel(name)).toBe("qwen-image-max");
  });

  it("keeps a model's own separator", () => {
    expect(laneModel(laneName({ upstreamHost: "example.com" }, "a|b"))).toBe("a|b");
  });

  it("gives no model for a name that is not a lane's", () => {
    for (const name of ["", "qwen-image-max", "|model", "host|"]) expect(laneModel(name)).toBeNull();
  });
});

describe("laneLocation", () => {
  const lane = (upstreamHost: string) => laneName({ upstreamHost }, "qwen-image-max");

  it("is near the region of a shared host, whatever region is configured", () => {
    expect(laneLocation(lane("dashscope-us.aliyuncs.com"), "sg")).toBe("enam");
    expect(laneLocation(lane("dashscope.aliyuncs.com"), null)).toBe("apac-ne");
  });

  it("is near the configured region for any other host, and nowhere while the settings are wrong", () => {
    expect(laneLocation(lane("ws-1.example.com"), "sg")).toBe("apac-se");
    expect(laneLocation(lane("ws-1.example.com"), null)).toBeNull();
  });
});

it("is asked for near upstream, so that its first use puts it there", () => {
  const asked: unknown[][] = [];
  const getByName = (...given: unknown[]) => {
    asked.push(given);
    return {};
  };
  const LANES = { getByName };
  const name = laneName({ upstreamHost: "ws-1.example.com" }, "qwen-image-max");
  const vars = { QWEN_API_KEY: "sk-test", AUTH_MODE: "open", QWEN_BASE_URL: "https://ws-1.example.com" };
  laneStub({ ...vars, QWEN_REGION: "us", LANES } as unknown as Env, name);
  laneStub({ QWEN_REGION: "nowhere", LANES } as unknown as Env, name);
  expect(asked).toEqual([
    [name, { locationHint: "enam" }],
    [name, {}],
  ]);
});
