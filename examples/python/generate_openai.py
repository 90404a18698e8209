"""Makes an image with OpenAI's own package, which speaks to Darkroom as it is: python3 generate_openai.py PROMPT FILE

DARKROOM_URL and DARKROOM_TOKEN say where Darkroom runs and who asks. What of the API is there: docs/compat-openai.md.
"""

import base64
import os
import sys

from openai import APIStatusError, OpenAI

client = OpenAI(
    base_url=os.environ.get("DARKROOM_URL", "http://localhost:8787") + "/v1",
    # Without tokens (npm start) any text does; the package wants one.
    api_key=os.environ.get("DARKROOM_TOKEN", "none"),
)


def main(prompt, file):
    try:
        # Darkroom holds the answer until the image is there; the package repeats a broken call, and gets the same job.
        answer = client.images.generate(model="qwen-image-max", prompt=prompt, size="1024x1024", response_format="b64_json")
    except APIStatusError as error:
        sys.exit(f"{error.status_code} {error.code}: {error.message}")
    with open(file, "wb") as target:
        target.write(base64.b64decode(answer.data[0].b64_json))
    print(file)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
