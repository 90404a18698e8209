import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { job } from "./job.fixture.ts";
import { verifyWebhook, type WebhookRefusal, WebhookVerificationError } from "./webhooks.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER = "whsec_c2VjcmV0IG9mIHNvbWVvbmUgZWxzZQ==";
const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);
const ID = "job_V1StGXR8_Z5jdHi6B-myT.7";
const EVENT = {
  type: "job.succeeded",
  timestamp: "2026-11-23T11:59:59.000Z",
  data: { job: job({ status: "succeeded" }) },
};

/** A delivery as Darkroom sends it, signed by the reference library. */
function delivery(event: unknown = EVENT, secret = SECRET, sentAtMs = NOW_MS) {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const headers = {
    "webhook-id": ID,
    "webhook-timestamp": String(Math.floor(sentAtMs / 1000)),
    "webhook-signature": new Webhook(secret).sign(ID, new Date(sentAtMs), body),
  };
  return { headers, body };
}

const verify = (sent: Parameters<typeof verifyWebhook>[0], secret: string | string[] = SECRET) =>
  verifyWebhook(sent, secret, { nowMs: NOW_MS });

async function refusal(verified: Promise<unknown>): Promise<WebhookRefusal> {
  const error = await verified.then(
    () => expect.unreachable("it was accepted"),
    (reason: unknown) => reason,
  );
  if (error instanceof WebhookVerificationError) return error.code;
  throw error;
}

describe("verifyWebhook", () => {
  it("accepts deliveries that the reference library signed, as a request, as text and as bytes", async () => {
    const { headers, body } = delivery();
    const expected = { ...EVENT, id: ID };
    const request = new Request("https://app.example.com/hook", { method: "POST", headers, body });
    expect(await verify(request)).toEqual(expected);
    expect(await verify({ headers, body })).toEqual(expected);
    expect(await verify({ headers: new Headers(headers), body: new TextEncoder().encode(body) })).toEqual(expected);
    // Node's `http` gives lower-case names; other servers keep the sender's case, or give lists.
    const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]));
    expect(await verify({ headers: upper, body })).toEqual(expected);
  });

  it("needs one matching signature among several, and one matching secret among several", async () => {
    const { headers, body } = delivery();
    const foreign = delivery(EVENT, OTHER).headers["webhook-signature"];
    const several = `v2,AAAA v1,not-base64! ${foreign} ${headers["webhook-signature"]}`;
    expect(await verify({ headers: { ...headers, "webhook-signature": several }, body })).toMatchObject({ id: ID });
    expect(await verify({ headers, body }, [OTHER, SECRET])).toMatchObject({ id: ID });
  });

  it("refuses another secret, a changed body, id or timestamp, and a signature of another version", async () => {
    const { headers, body } = delivery();
    const changed: Parameters<typeof verifyWebhook>[0][] = [
      { headers, body: `${body} ` },
      { headers: { ...headers, "webhook-id": `${ID}0` }, body },
      { headers: { ...headers, "webhook-timestamp": String(NOW_MS / 1000 + 1) }, body },
      { headers: { ...headers, "webhook-signature": headers["webhook-signature"].replace("v1,", "v2,") }, body },
      { headers: { ...headers, "webhook-signature": headers["webhook-signature"].slice(0, -4) }, body },
      delivery(EVENT, OTHER),
    ];
    for (const sent of changed) expect(await refusal(verify(sent))).toBe("no_matching_signature");
  });

  it("refuses a delivery that was signed too long ago or in the future, by the receiver's tolerance", async () => {
    for (const aside of [-301_000, 301_000]) {
      expect(await refusal(verify(delivery(EVENT, SECRET, NOW_MS + aside)))).toBe("outside_tolerance");
    }
    expect(await verify(delivery(EVENT, SECRET, NOW_MS - 299_000))).toMatchObject({ id: ID });
    const strict = verifyWebhook(delivery(EVENT, SECRET, NOW_MS - 20_000), SECRET, {
      nowMs: NOW_MS,
      toleranceSeconds: 10,
    });
    expect(await refusal(strict)).toBe("outside_tolerance");
  });

  it.each(["webhook-id", "webhook-timestamp", "webhook-signature"] as const)(
    "refuses a delivery without %s",
    async (name) => {
      const { headers, body } = delivery();
      const { [name]: _left, ...rest } = headers;
      expect(await refusal(verify({ headers: rest, body }))).toBe("missing_header");
      expect(await refusal(verify({ headers: { ...headers, [name]: "" }, body }))).toBe("missing_header");
    },
  );

  it("refuses a timestamp that is not a number of seconds", async () => {
    const { headers, body } = delivery();
    for (const time of ["soon", "-1", "1.5", "1e9", "2026-11-23"]) {
      const sent = { headers: { ...headers, "webhook-timestamp": time }, body };
      expect(await refusal(verify(sent))).toBe("invalid_header");
    }
  });

  it("resolves to null for an event type that is newer than the package, and refuses a body that is no event", async () => {
    expect(await verify(delivery({ type: "job.archived", timestamp: EVENT.timestamp, data: {} }))).toBeNull();
    for (const wrong of ["not json", {}, { ...EVENT, data: {} }, { ...EVENT, timestamp: "yesterday" }]) {
      expect(await refusal(verify(delivery(wrong)))).toBe("invalid_body");
    }
  });

  it("ignores fields that are newer than the package", async () => {
    const newer = { ...EVENT, attempt: 2, data: { ...EVENT.data, note: "new" } };
    expect(await verify(delivery(newer))).toEqual({ ...EVENT, id: ID });
  });

  it("throws a TypeError for a secret that cannot be one, before it reads anything", async () => {
    for (const secret of ["", "secret", "whsec_", "whsec_!!!", "c2VjcmV0"]) {
      await expect(verify(delivery(), secret)).rejects.toThrow(TypeError);
    }
    await expect(verify(delivery(), [])).rejects.toThrow(TypeError);
  });
});
