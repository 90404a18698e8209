"""Makes an image with requests: python3 generate.py PROMPT FILE

DARKROOM_URL and DARKROOM_TOKEN say where Darkroom runs and who asks. Python 3.9 or later, requests 2.28 or later.
"""

import os
import sys
import uuid

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

BASE_URL = os.environ.get("DARKROOM_URL", "http://localhost:8787")

session = requests.Session()
# Every call here is safe to repeat, the submission because of its Idempotency-Key. A Retry-After is obeyed.
retry = Retry(total=5, backoff_factor=1, status_forcelist=[429, 502, 503, 504], allowed_methods=None, raise_on_status=False)
for scheme in ("http://", "https://"):
    session.mount(scheme, HTTPAdapter(max_retries=retry))
if "DARKROOM_TOKEN" in os.environ:
    session.headers["Authorization"] = "Bearer " + os.environ["DARKROOM_TOKEN"]


def call(method, url, **options):
    """The answer, or an exit with what Darkroom says was wrong (RFC 9457)."""
    response = session.request(method, url, timeout=90, **options)
    if not response.ok:
        problem = response.json() if "json" in response.headers.get("content-type", "") else {}
        sys.exit(f"{response.status_code} {problem.get('code', '')}: {problem.get('detail', response.text)}")
    return response


def submit(prompt, idempotency_key):
    """Makes one job for each key, however often the same request is sent."""
    headers = {"Idempotency-Key": f'"{idempotency_key}"'}
    body = {"prompt": prompt, "size": "1328*1328"}
    return call("POST", f"{BASE_URL}/api/workflows/image-from-text", json=body, headers=headers).json()


def wait(job):
    """Long-polls until the job is done: each answer is held for up to 30 s."""
    url = f"{BASE_URL}/api/jobs/{job['id']}"
    while not job["done"]:
        place = (job["queue"] or {}).get("detail") or job["phase"] or job["status"]
        print(job["status"], place, file=sys.stderr, flush=True)
        job = call("GET", url, headers={"Prefer": "wait=30"}).json()
    return job


def main(prompt, file):
    # A program that may be started again keeps this key with its order, and so never pays twice.
    job = wait(submit(prompt, uuid.uuid4()))
    if job["status"] != "succeeded":
        error = job["error"]
        sys.exit(f"{job['id']} {job['status']}: {error['message']} {error['hint']}" if error else f"{job['id']} {job['status']}")
    image = call("GET", f"{BASE_URL}/api/jobs/{job['id']}/images/0")
    with open(file, "wb") as target:
        target.write(image.content)
    print(job["id"], image.headers["content-type"], file)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
