import { describe, expect, it } from "vitest";
import { checkLink, createLinks, EVENTS_LINK_MS, type LinkTarget } from "./links.ts";

const HOUR_MS = 3_600_000;
const config = { signingSecrets: ["the first secret of all"], imageLinkMs: 24 * HOUR_MS };
const jobId = "job_V1StGXR8_Z5jdHi6B-myT";
const now = Date.UTC(2026, 10, 23, 12, 3, 30);
const image: LinkTarget = { kind: "image", jobId, index: 0 };
const events: LinkTarget = { kind: "events", jobId };

function queryOf(target: LinkTarget, secrets: string[] = config.signingSecrets, atMs = now) {
  const links = createLinks({ ...config, signingSecrets: secrets }, "https://d.example", atMs);
  return new URL(target.kind === "image" ? links.image(jobId, target.index) : links.job(jobId).events).searchParams;
}

describe("createLinks", () => {
  it("makes addresses of the origin, signed only for images and events", () => {
    const links = createLinks(config, "https://d.example", now);
    expect(links.job(jobId).self).toBe(`https://d.example/api/jobs/${jobId}`);
    expect(links.job(jobId).page).toBe(`https://d.example/jobs/${jobId}`);
    expect(links.job(jobId).events).toMatch(/\/events\?end=\d+&signature=[\w-]{43}$/);
    expect(links.image(jobId, 1)).toMatch(/\/images\/1\?end=\d+&signature=[\w-]{43}$/);
  });

  it.each<[string, LinkTarget, number]>([
    ["events", events, EVENTS_LINK_MS],
    ["an image", image, 24 * HOUR_MS],
  ])("gives equal links to %s for a whole period and other links after it", (_name, target, lifeMs) => {
    const start = Math.floor(now / lifeMs) * lifeMs;
    const at = (ms: number) => queryOf(target, undefined, ms).toString();
    expect(at(start)).toBe(at(start + lifeMs - 1));
    expect(at(start)).not.toBe(at(start + lifeMs));
  });

  it.each([
    [24, 0],
    [24, 23.9],
    [7, 3],
    [48, 47],
  ])("gives image links that last %d to twice as many hours, made %d h into a period", (hours, intoHours) => {
    const imageLinkMs = hours * HOUR_MS;
    const atMs = Math.floor(now / imageLinkMs) * imageLinkMs + intoHours * HOUR_MS;
    const url = new URL(createLinks({ ...config, imageLinkMs }, "https://d.example", atMs).image(jobId, 0));
    const livesMs = Number(url.searchParams.get("end")) * 1000 - atMs;
    expect(livesMs).toBeGreaterThan(imageLinkMs);
    expect(livesMs).toBeLessThanOrEqual(2 * imageLinkMs);
  });

  it("changes the epoch exactly when a link gets another end", () => {
    for (const hours of [1, 5, 24]) {
      const settings = { ...config, imageLinkMs: hours * HOUR_MS };
      const at = (ms: number) => {
        const links = createLinks(settings, "https://d.example", ms);
        return { epoch: links.epoch, links: [links.image(jobId, 0), links.job(jobId).events].join() };
      };
      for (let ms = now; ms < now + 60 * HOUR_MS; ms += 0.5 * HOUR_MS) {
        const [before, after] = [at(ms), at(ms + 0.5 * HOUR_MS)];
        expect(before.epoch === after.epoch, `${hours} h at ${ms}`).toBe(before.links === after.links);
      }
    }
  });

  it("makes no link that ends after the given bound", () => {
    const endsOf = (notAfterMs: number | null) => {
      const links = createLinks(config, "https://d.example", now, notAfterMs);
      const urls = [links.image(jobId, 0), links.job(jobId).events];
      return urls.map((url) => Number(new URL(url).searchParams.get("end")) * 1000);
    };
    expect(endsOf(now + 90_500)).toEqual([now + 90_000, now + 90_000]);
    expect(endsOf(now + 30 * 24 * HOUR_MS)).toEqual(endsOf(null));
    const query = new URL(createLinks(config, "https://d.example", now, now + 90_000).job(jobId).events).searchParams;
    expect(checkLink(config, events, query, now)).toEqual({ state: "valid", endsAtMs: now + 90_000 });
    expect(checkLink(config, events, query, now + 90_000)).toEqual({ state: "invalid" });
  });

  it("gives unsigned links without a signing secret", () => {
    const links = createLinks({ ...config, signingSecrets: [] }, "http://localhost:8787", now);
    expect(links.image(jobId, 0)).toBe(`http://localhost:8787/api/jobs/${jobId}/images/0`);
  });
});

describe("checkLink", () => {
  it("opens its target until its end", () => {
    expect(checkLink(config, image, queryOf(image), now).state).toBe("valid");
    expect(checkLink(config, events, queryOf(events), now).state).toBe("valid");
    expect(checkLink(config, image, queryOf(image), now + 24 * HOUR_MS).state).toBe("valid");
    expect(checkLink(config, image, queryOf(image), now + 48 * HOUR_MS).state).toBe("invalid");
    expect(checkLink(config, events, queryOf(events), now + EVENTS_LINK_MS).state).toBe("valid");
    expect(checkLink(config, events, queryOf(events), now + 2 * EVENTS_LINK_MS).state).toBe("invalid");
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

  it("accepts the old secret beside the new one, and neither once both are removed", () => {
    const query = queryOf(image, ["the older secret of all"]);
    expect(
      checkLink({ signingSecrets: ["a brand new secret", "the older secret of all"] }, image, query, now).state,
    ).toBe("valid");
    expect(checkLink({ signingSecrets: ["a brand new secret"] }, image, query, now).state).toBe("invalid");
    expect(checkLink({ signingSecrets: [] }, image, query, now).state).toBe("invalid");
  });

  it("distinguishes a missing signature from an invalid one", () => {
    expect(checkLink(config, image, new URLSearchParams("after=3"), now).state).toBe("none");
  });
});
