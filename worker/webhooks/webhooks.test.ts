import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import {
  beginTry,
  endTry,
  presentDelivery,
  type StoredDelivery,
  type TryResult,
  targetFault,
  WAITS_MS,
} from "./core/delivery.ts";
import { webhookSecrets, webhookSignature } from "./send.ts";

const RULES = { ownOrigins: ["https://darkroom.example.com", "http://localhost:8787"], allowLoopback: false };
const OPEN = { ...RULES, allowLoopback: true };

describe("targetFault", () => {
  it.each(["https://example.com", "https://example.com:443/a?b=c#d", "https://xn--bcher-kva.example/hook"])(
    "allows the public https address %s",
    (url) => expect(targetFault(url, RULES)).toBeNull(),
  );

  it.each([
    ["not an address", /must be an https address/],
    [`https://example.com/${"a".repeat(2048)}`, /2048 characters at most/],
    ["http://example.com/", /https:/],
    ["ftp://example.com/", /https:/],
    ["https://example.com:8443/", /port 443/],
    ["https://example.com:80/", /port 443/],
    ["https://user@example.com/", /user name/],
    ["https://:secret@example.com/", /user name/],
    ["https://8.8.8.8/", /IP address/],
    ["https://134744072/", /IP address/],
    ["https://0x08080808/", /IP address/],
    ["https://[2001:4860:4860::8888]/", /IP address/],
    ["https://127.0.0.1/", /IP address/],
    ["https://[::1]/", /IP address/],
    ["https://169.254.169.254/latest/meta-data", /IP address/],
    ["https://localhost/", /public host name/],
    ["https://a.localhost/", /public host name/],
    ["https://intranet/", /public host name/],
    ["https://metadata.google.internal/", /public host name/],
    ["https://printer.local/", /public host name/],
    ["https://printer.local./", /public host name/],
    ["https://darkroom.example.com/api/jobs", /this service/],
    ["https://DARKROOM.example.com./api/jobs", /this service/],
    ["http://localhost:9000/", /https:/],
  ])("refuses %s", (url, why) => expect(targetFault(url, RULES)).toMatch(why));

  it("allows http to this machine in open mode, but not to other machines or to itself", () => {
    for (const url of ["http://localhost:9000/hook", "http://127.0.0.1:9000/", "http://[::1]:9000/"]) {
      expect(targetFault(url, OPEN), url).toBeNull();
    }
    for (const url of [
      "http://localhost:8787/api",
      "http://127.0.0.1:8787/api",
      "http://192.168.1.1/",
      "http://a.local/",
    ]) {
      expect(targetFault(url, OPEN), url).not.toBeNull();
    }
  });
});

describe("the signature", () => {
  const config = { signingSecrets: ["a new secret of many characters", "an old secret of many characters"] };
  const body = JSON.stringify({
    type: "job.succeeded",
    timestamp: "2026-11-23T12:00:00.000Z",
    data: { text: "größer 图 🖼" },
  });

  it("is accepted by the reference library under each secret while they rotate, and under no other", () => {
    const secrets = webhookSecrets(config, "my-app");
    const seconds = Math.floor(Date.now() / 1000);
    const headers = {
      "webhook-id": "job_V1StGXR8_Z5jdHi6B-myT.5",
      "webhook-timestamp": String(seconds),
      "webhook-signature": webhookSignature(secrets, "job_V1StGXR8_Z5jdHi6B-myT.5", seconds, body),
    };
    expect(secrets).toHaveLength(2);
    for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
    const [foreign = ""] = webhookSecrets(config, "other-app");
    expect(() => new Webhook(foreign).verify(body, headers)).toThrow();
    expect(() => new Webhook(secrets[0] ?? "").verify(`${body} `, headers)).toThrow();
  });

  it("has another secret for each client and each signing secret, and shows none of the signing secrets", () => {
    const all = [
      ...webhookSecrets(config, "a"),
      ...webhookSecrets(config, "b"),
      ...webhookSecrets({ signingSecrets: [] }, "a"),
    ];
    expect(new Set(all).size).toBe(5);
    for (const secret of all) expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(webhookSecrets(config, "a")).toEqual(webhookSecrets(config, "a"));
  });
});

describe("a delivery", () => {
  const T0 = Date.parse("2026-11-23T12:00:00.000Z");
  const fresh: StoredDelivery = {
    ...{ seq: 5, type: "job.succeeded", url: "https://example.com/", origin: "", hops: 0, createdAtMs: T0, body: "{}" },
    ...{ state: "pending", reason: null, roundTries: 0, tries: [] },
  };
  const result = (patch: Partial<TryResult>): TryResult => ({
    ...{ status: 500, error: "answered 500", answer: "", retryAfterMs: null },
    ...patch,
  });

  it("is tried ten times after the waits of the schedule, each up to a fifth longer, and then given up with the reason", () => {
    for (const jitter of [0, 0.999]) {
      let delivery = fresh;
      let nowMs = T0;
      const waits: number[] = [];
      for (;;) {
        const ended = endTry(beginTry(delivery, nowMs), result({}), nowMs + 7, jitter);
        delivery = ended.delivery;
        if (ended.nextAtMs === null) break;
        waits.push(ended.nextAtMs - nowMs - 7);
        nowMs = ended.nextAtMs;
      }
      for (const [index, wait] of waits.entries()) {
        const least = WAITS_MS[index + 1] ?? 0;
        expect(wait).toBeGreaterThanOrEqual(least);
        expect(wait).toBeLessThanOrEqual(least * 1.2);
      }
      expect(delivery).toMatchObject({ state: "failed", reason: "not delivered in 10 tries; the last: answered 500" });
      expect(delivery.tries.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    expect(WAITS_MS.map((ms) => ms / 1000)).toEqual([0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
  });

  it("ends after a success, and after a 410", () => {
    const success = endTry(beginTry(fresh, T0), result({ status: 204, error: null }), T0 + 5, 0);
    expect(success).toMatchObject({ nextAtMs: null, delivery: { state: "delivered", reason: null } });
    const gone = endTry(beginTry(fresh, T0), result({ status: 410, error: "answered 410" }), T0 + 5, 0);
    expect(gone).toMatchObject({ nextAtMs: null, delivery: { state: "gone", reason: expect.stringContaining("410") } });
  });

  it("waits for as long as Retry-After says, but not less than the schedule and not more than a day", () => {
    const next = (retryAfterMs: number) =>
      endTry(beginTry(fresh, T0), result({ status: 429, retryAfterMs }), T0, 0).nextAtMs;
    expect(next(1_000)).toBe(T0 + 5_000);
    expect(next(60_000)).toBe(T0 + 60_000);
    expect(next(900_000_000)).toBe(T0 + 86_400_000);
  });

  it("shows a try that was cut by the end of our own process, and does not count it among the ten", () => {
    const delivery = beginTry(beginTry(fresh, T0), T0 + 45_000);
    const shown = presentDelivery("job_V1StGXR8_Z5jdHi6B-myT", delivery, null);
    expect(shown.tries).toMatchObject([
      { number: 1, finishedAt: null, status: null, error: expect.stringContaining("stopped before") },
      { number: 2, finishedAt: null, status: null, error: null },
    ]);
    expect(shown).toMatchObject({ number: 5, id: "job_V1StGXR8_Z5jdHi6B-myT.5", state: "pending" });
  });

  it("is tried for the whole schedule after ten tries that were cut by the end of our own process", () => {
    let cut = fresh;
    for (let n = 0; n < 10; n++) cut = beginTry(cut, T0 + n * 45_000);
    const waits: number[] = [];
    let { delivery, nextAtMs } = endTry(cut, result({ status: 503 }), T0, 0);
    for (; nextAtMs !== null; ) {
      waits.push(nextAtMs - T0);
      ({ delivery, nextAtMs } = endTry(beginTry(delivery, T0), result({ status: 503 }), T0, 0));
    }
    expect(waits).toEqual(WAITS_MS.slice(1));
    expect(delivery).toMatchObject({ state: "failed", reason: expect.stringContaining("not delivered in 10 tries") });
    expect(delivery.tries.map(({ number }) => number)).toEqual(Array.from({ length: 19 }, (_, at) => at + 1));
  });

  it("counts the first try of a resend also when the try before it was cut", () => {
    const resent = beginTry({ ...beginTry(fresh, T0), roundTries: 0 }, T0);
    expect(endTry(resent, result({}), T0, 0).nextAtMs).toBe(T0 + 5_000);
  });

  it("keeps the newest thirty tries over any number of resends", () => {
    let delivery = fresh;
    for (let n = 0; n < 50; n++)
      delivery = endTry(beginTry({ ...delivery, roundTries: 0 }, T0), result({}), T0, 0).delivery;
    expect(delivery.tries).toHaveLength(30);
    expect(delivery.tries.at(-1)?.number).toBe(50);
  });
});
