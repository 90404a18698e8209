"""A DashScope client that uses only Python's standard library: submits a task, waits for it, saves the first image.

    python3 dashscope_client.py BASE_URL KEY PROMPT FILE

Prints the task's output as JSON. Prints the error's status, code and message and exits with 1 when the service refuses a call.
"""

import json
import sys
import time
import urllib.error
import urllib.request


def call(method, url, key, body=None, headers=None):
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + key, "Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        refusal = json.load(error)
        sys.exit(f"{error.code} {refusal['code']}: {refusal['message']}")


def main(base_url, key, prompt, file):
    body = {
        "model": "qwen-image-plus",
        "input": {"prompt": prompt},
        "parameters": {"size": "1328*1328", "n": 1, "prompt_extend": True, "watermark": False},
    }
    path = "/services/aigc/text2image/image-synthesis"
    task_id = call("POST", base_url + path, key, body, {"X-DashScope-Async": "enable"})["output"]["task_id"]
    while True:
        output = call("GET", f"{base_url}/tasks/{task_id}", key)["output"]
        if output["task_status"] not in ("PENDING", "RUNNING"):
            break
        time.sleep(0.5)
    if output["task_status"] == "SUCCEEDED":
        with urllib.request.urlopen(output["results"][0]["url"], timeout=60) as image, open(file, "wb") as target:
            target.write(image.read())
    print(json.dumps(output))


if __name__ == "__main__":
    main(*sys.argv[1:5])
