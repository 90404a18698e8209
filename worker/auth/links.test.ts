import { describe, expect, it } from "vitest";
import { checkLink, createLinks, LINK_EPOCH_MS, type LinkTarget } from "./links.ts";

const config = { signingSecrets: ["the first secret of all"] };
const jobId = "job_V1StGXR8_Z5jdHi6B-myT";
const now = Date.UTC(2026, 10, 23, 12, 3, 30);
const image: LinkTarget = { kind: "image", jobId, index: 0 };
const events: LinkTarget = { kind: "events", jobId };

function queryOf(target: LinkTarget, secrets: string[] = config.signingSecrets, atMs = now) {
  const links = createLinks({ signingSecrets: secrets }, "https://d.example", atMs);
  return new URL(target.kind === "image" ? links.image(jobId, target.index) : links.job(jobId).events).searchParams;
}

describe("createLinks", () => {
  it("makes addresses of the origin, signed for images and events only", () => {
    const links = createLinks(config, "https://d.example", now);
    expect(links.job(jobId).self).toBe(`https://d.example/api/jobs/${jobId}`);
    expect(links.job(jobId).page).toBe(`https://d.example/jobs/${jobId}`);
    expect(links.job(jobId).events).toMatch(/\/events\?end=\d+&signature=[\w-]{43}$/);
    expect(links.image(jobId, 1)).toMatch(/\/images\/1\?end=\d+&signature=[\w-]{43}$/);
  });

  it("gives equal links within an epoch and others after it", () => {
    const start = Math.floor(now / LINK_EPOCH_MS) * LINK_EPOCH_MS;
    const at = (ms: number) => createLinks(config, "https://d.example", ms);
    expect(at(start).image(jobId, 0)).toBe(at(start + LINK_EPOCH_MS - 1).image(jobId, 0));
    expect(at(start).epoch).toBe(at(start + LINK_EPOCH_MS - 1).epoch);
    expect(at(start).image(jobId, 0)).not.toBe(at(start + LINK_EPOCH_MS).image(jobId, 0));
    expect(at(start).epoch).not.toBe(at(start + LINK_EPOCH_MS).epoch);
  });

  it("makes no link that ends after the bound, and keeps the epoch's end below it", () => {
    const endOf = (notAfterMs: number | null) => {
      const links = createLinks(config, "https://d.example", now, notAfterMs);
      const ends = [links.image(jobId, 0), links.job(jobId).events].map((url) => new URL(url).searchParams.get("end"));
      expect(new Set(ends).size).toBe(1);
      return Number(ends[0]) * 1000;
    };
    expect(endOf(now + 90_500)).toBe(now + 90_000);
    expect(endOf(now + 30 * LINK_EPOCH_MS)).toBe(endOf(null));
    const events = new URL(createLinks(config, "https://d.example", now, now + 90_000).job(jobId).events).searchParams;
    expect(checkLink(config, { kind: "events", jobId }, events, now)).toEqual({
      state: "valid",
      endsAtMs: now + 90_000,
    });
    expect(checkLink(config, { kind: "events", jobId }, events, now + 90_000)).toEqual({ state: "invalid" });
  });

  it("gives plain links without a signing secret", () => {
    const links = createLinks({ signingSecrets: [] }, "http://localhost:8787", now);
    expect(links.image(jobId, 0)).toBe(`http://localhost:8787/api/jobs/${jobId}/images/0`);
  });
});

describe("checkLink", () => {
  it("opens what it was made for, until its end", () => {
    expect(checkLink(config, image, queryOf(image), now).state).toBe("valid");
    expect(checkLink(config, events, queryOf(events), now).state).toBe("valid");
    expect(checkLink(config, image, queryOf(image), now + LINK_EPOCH_MS).state).toBe("valid");
    expect(checkLink(config, image, queryOf(image), now + 2 * LINK_EPOCH_MS).state).toBe("invalid");
  });

  it.each<[string, LinkTarget, (query: URLSearchParams) => void]>([
    ["another image", { kind: "image", jobId, index: 1 }, () => {}],
    ["another job", { kind: "image", jobId: "job_V1StGXR8_Z5jdHi6B-myU", index: 0 }, () => {}],
    ["the events of the job", events, () => {}],
    [
      "a later end",
      image,
      (query) => {
        query.set("end", String(Number(query.get("end")) + 1));
      },
    ],
    ["no end", image, (query) => query.delete("end")],
    [
      "an end that is no number",
      image,
      (query) => {
        query.set("end", "1e99");
      },
    ],
    [
      "a cut signature",
      image,
      (query) => {
        query.set("signature", (query.get("signature") ?? "").slice(0, -1));
      },
    ],
    [
      "an empty signature",
      image,
      (query) => {
        query.set("signature", "");
      },
    ],
    ["a signature with something after it", image, (query) => query.set("signature", `${query.get("signature")}=`)],
  ])("refuses %s", (_name, target, change) => {
    const query = queryOf(image);
    change(query);
    expect(checkLink(config, target, query, now).state).toBe("invalid");
  });

  it("refuses every other spelling of the same signature bytes", () => {
    const query = queryOf(image);
    const signature = query.get("signature") ?? "";
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const taken = [...alphabet].filter((last) => {
      query.set("signature", signature.slice(0, -1) + last);
      return checkLink(config, image, query, now).state === "valid";
    });
    expect(taken).toEqual([signature.at(-1)]);
  });

  it("takes the old secret beside the new one, and neither after both are gone", () => {
    const query = queryOf(image, ["the older secret of all"]);
    expect(
      checkLink({ signingSecrets: ["a brand new secret", "the older secret of all"] }, image, query, now).state,
    ).toBe("valid");
    expect(checkLink({ signingSecrets: ["a brand new secret"] }, image, query, now).state).toBe("invalid");
    expect(checkLink({ signingSecrets: [] }, image, query, now).state).toBe("invalid");
  });

  it("says when there is no signature to judge", () => {
    expect(checkLink(config, image, new URLSearchParams("after=3"), now).state).toBe("none");
  });
});
