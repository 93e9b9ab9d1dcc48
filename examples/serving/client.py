"""Ask a server about images: one as it is, then all of them in one request. Standard library only.

Run: foveal serve runs/photos-1 &  python examples/serving/client.py http://127.0.0.1:8000 one.jpg two.png
A token, where the server asks for one, is read from FOVEAL_TOKEN.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def ask(url: str, body: bytes, kind: str) -> dict:
    """The answer; a server that has too much to do is asked again."""
    headers = {"Content-Type": kind}
    if token := os.environ.get("FOVEAL_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    for _ in range(5):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            told = json.load(error)
            if error.code != 503:
                sys.exit(f"{told['status']} {told['title']}: {told['detail']}")
            time.sleep(float(error.headers.get("Retry-After", "1")))
    sys.exit("the server has too much to do")


server, *files = sys.argv[1:]
url = f"{server}/v1/predict"
print(json.dumps(ask(url, Path(files[0]).read_bytes(), "application/octet-stream")["predictions"][0]))

images = [{"file": file, "data": base64.b64encode(Path(file).read_bytes()).decode()} for file in files]
for answer in ask(url, json.dumps({"images": images}).encode(), "application/json")["predictions"]:
    print(json.dumps(answer))
