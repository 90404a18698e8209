import { describe, expect, it } from "vitest";
import { laneModel, laneName } from "./lane-name.ts";

describe("laneName", () => {
  it("names host, port and model, and gives the model back", () => {
    const name = laneName({ upstreamHost: "127.0.0.1:9090" }, "qwen-image-max");
    expect(name).toBe("127.0.0.1:9090|qwen-image-max");
    expect(laneModel(name)).toBe("qwen-image-max");
  });

  it("keeps a model's own separator", () => {
    expect(laneModel(laneName({ upstreamHost: "example.com" }, "a|b"))).toBe("a|b");
  });

  it("knows a name that is none", () => {
    for (const name of ["", "qwen-image-max", "|model", "host|"]) expect(laneModel(name)).toBeNull();
  });
});
