"""Receives Darkroom's webhooks with nothing but Python's own library: python3 receiver.py [PORT]"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What GET /api/webhooks/secret shows; two secrets, parted by a comma, while it is rotated.
SECRETS = os.environ["DARKROOM_WEBHOOK_SECRET"].split(",")
TOLERANCE_SECONDS = 300
MOST_BYTES = 1_000_000

# The events that were handled. A real app keeps them in its database.
handled = set()


def is_genuine(headers, body):
    """Whether one of the secrets signed these bytes, not longer ago than the tolerance (Standard Webhooks)."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    given = [entry[3:] for entry in headers.get("webhook-signature", "").split() if entry.startswith("v1,")]
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    for secret in SECRETS:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in given):
            return True
    return False


def handle(webhook_id, event):
    """Called once for each event."""
    if event["type"] == "job.succeeded":
        images = event["data"]["job"]["output"]["images"]
        print(webhook_id, "succeeded:", *[image["url"] for image in images], flush=True)
    elif event["type"] == "job.failed":
        print(webhook_id, "failed:", event["data"]["job"]["error"]["message"], flush=True)
    else:
        # Types that are newer than this program are acknowledged, too.
        print(webhook_id, event["type"], flush=True)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(min(length, MOST_BYTES))
        if self.path != "/darkroom" or not is_genuine(self.headers, body):
            self.answer(400)
            return
        webhook_id = self.headers["webhook-id"]
        # The same id again: the answer to an earlier try was lost.
        if webhook_id not in handled:
            handle(webhook_id, json.loads(body))
            handled.add(webhook_id)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    print(f"listening on http://localhost:{port}/darkroom", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
