"""The server's routes, in this process: answers, errors, limits, reloads, hostile input."""

import base64
import json
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import foveal
from crafted import chunk, png, saved, tiff
from foveal.bundle import Outputs
from foveal.server.service import Service
from hostile import UNREADABLE, make_hostile_folder
from serving import BUNDLE, client_of, encoded, service_of

LIGHT, DARK = encoded(200), encoded(30)
ROUTES = {
    "GET": [
        *("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/models", "/v1/models/photos", "/v2"),
        *("/v2/health/live", "/v2/health/ready", "/v2/models/photos", "/v2/models/photos/ready"),
    ],
    "POST": ["/v1/predict", "/v1/models/photos/predict", "/v2/models/photos/infer", "/admin/reload"],
}


@pytest.fixture(scope="module")
def service() -> Service:
    return service_of(images=8, body=1 << 20)


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with client_of(service) as client:
        yield client


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem, once it is seen to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert {"type", "title", "status", "detail", "request"} <= told.keys()
    assert told["status"] == status
    assert told["type"].startswith("urn:foveal:problem:")
    assert told["detail"]
    assert told["request"] == response.headers["x-request-id"]
    return told


def test_every_form_of_a_request_gives_the_predictors_answer(client: TestClient) -> None:
    wanted = [foveal.load(BUNDLE)(data).as_dict() for data in (LIGHT, DARK)]
    files = [("image", ("light.png", LIGHT)), ("image", ("dark.png", DARK))]
    form = client.post("/v1/predict", files=files).json()
    assert form["model"] == "photos"
    for file, answer, expected in zip(("light.png", "dark.png"), form["predictions"], wanted, strict=True):
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
        assert answer | {"probability": 0, "probabilities": 0} == {
            "file": file,
            **expected,
            "probability": 0,
            "probabilities": 0,
        }
    assert [answer["label"] for answer in form["predictions"]] == ["light", "dark"]
    images = {"images": [text(LIGHT), {"data": text(DARK), "file": "dark.png"}]}
    listed = client.post("/v1/models/photos/predict", json=images).json()
    assert [answer["file"] for answer in listed["predictions"]] == [None, "dark.png"]
    for kind in ("image/png", "application/octet-stream", "image/anything"):
        bare = client.post("/v1/predict", content=LIGHT, headers={"content-type": kind}).json()
        assert bare["predictions"][0]["probability"] == pytest.approx(wanted[0]["probability"], abs=1e-6)


def test_an_image_that_cannot_be_read_has_its_error_at_its_place(client: TestClient) -> None:
    files = [("image", ("a", LIGHT)), ("image", ("b", LIGHT[:40])), ("image", ("c", b"")), ("image", ("d", DARK))]
    a, b, c, d = client.post("/v1/predict", files=files).json()["predictions"]
    assert (a["label"], d["label"]) == ("light", "dark")
    assert (b.keys(), c) == ({"file", "error"}, {"file": "c", "error": "empty: the file has 0 bytes"})
    alone = problem_of(client.post("/v1/predict", files=files[1:2]), 422)
    assert "truncated" in alone["detail"]


def test_kserve(client: TestClient) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/models/photos").json()["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]

    def infer(tensor: dict[str, Any], **more: Any) -> Any:
        return client.post("/v2/models/photos/infer", json={"inputs": [{"name": "image", **tensor}], **more})

    told = infer({"datatype": "BYTES", "shape": [2], "data": [text(LIGHT), text(DARK)]}, id="7").json()
    outputs = {output["name"]: output for output in told["outputs"]}
    assert told["id"] == "7"
    assert outputs["label"] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["light", "dark"]}
    assert outputs["probability"]["datatype"] == "FP64"
    assert outputs["abstained"]["datatype"] == "BOOL"
    whole = [json.loads(answer) for answer in outputs["predictions"]["data"]]
    assert [answer["label"] for answer in whole] == ["light", "dark"]
    pixels = np.full((2, 12, 12, 1), 200, np.uint8)
    for tensor in (
        {"shape": [2, 12, 12, 1], "data": pixels.tolist()},
        {"shape": [2, 12, 12, 1], "data": pixels.ravel().tolist()},
        {"shape": [12, 12, 1], "data": pixels[0].tolist()},
    ):
        found = infer({"datatype": "UINT8", **tensor}, outputs=[{"name": "probability"}]).json()["outputs"]
        assert [output["name"] for output in found] == ["probability"]
        assert found[0]["data"] == pytest.approx(outputs["probability"]["data"][:1] * found[0]["shape"][0], abs=1e-6)
    for tensor, words in (
        ({"datatype": "BYTES", "shape": [2], "data": [text(LIGHT)]}, "Expected 2 elements"),
        ({"datatype": "BYTES", "shape": [1], "data": [7]}, "element 0"),
        ({"datatype": "BYTES", "shape": [1], "data": [text(b"x")]}, "cannot be decoded"),
        ({"datatype": "BYTES", "shape": [1]}, "binary_data_size"),
        ({"datatype": "UINT8", "shape": [2, 2, 1], "data": [1, 2, 3, 256]}, "from 0 to 255"),
        ({"datatype": "UINT8", "shape": [2, 2, 1], "data": [1, 2, 3, 10**40]}, "from 0 to 255"),
        ({"datatype": "UINT8", "shape": [2, 2, 1], "data": [[1, 2], [3]]}, "4 numbers"),
        ({"datatype": "UINT8", "shape": [2, 2], "data": [1, 2, 3, 4]}, "channels"),
        ({"datatype": "FP32", "shape": [1], "data": [1]}, "BYTES"),
        ({"datatype": "UINT8", "shape": [0], "data": []}, "shape.0"),
    ):
        told = problem_of(infer(tensor), 422)
        assert words in told["detail"]
        assert told["error"] == told["detail"], "where clients of KServe look"
    assert problem_of(infer({"datatype": "UINT8", "shape": [9, 1, 1, 1], "data": [1] * 9}), 413)
    assert problem_of(infer({"datatype": "UINT8", "shape": [9000, 9000, 1], "data": []}), 413)
    asked = infer({"datatype": "BYTES", "shape": [1], "data": [text(LIGHT)]}, outputs=[{"name": "x"}])
    assert "outputs among" in problem_of(asked, 422)["detail"]


def test_kserve_with_binary_tensors(client: TestClient) -> None:
    def infer(shape: list[int], rest: bytes, kind: str = "BYTES", size: int | None = None, header: Any = None) -> Any:
        parameters = {"binary_data_size": len(rest) if size is None else size}
        tensor = {"name": "image", "datatype": kind, "shape": shape, "parameters": parameters}
        head = json.dumps({"inputs": [tensor]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head)) if header is None else header}
        return client.post("/v2/models/photos/infer", content=head + rest, headers=headers)

    rest = b"".join(struct.pack("<I", len(data)) + data for data in (LIGHT, DARK))
    outputs = {output["name"]: output["data"] for output in infer([2], rest).json()["outputs"]}
    assert outputs["label"] == ["light", "dark"]
    assert infer([12, 12, 1], bytes(144), "UINT8").json()["outputs"][1]["data"] == ["dark"]
    problem_of(infer([2], rest, size=5), 400)
    problem_of(infer([2], rest[:-1]), 400)
    problem_of(infer([2], rest, header="-1"), 400)
    problem_of(infer([2], rest, header="99999999"), 400)
    problem_of(infer([1], rest), 422)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_every_error_has_one_form(client: TestClient, method: str) -> None:
    for path in (*ROUTES["GET"], *ROUTES["POST"]):
        response = client.request(method, path)
        if path not in ROUTES.get(method, []):
            problem_of(response, 405)
            assert response.headers["allow"]
        elif method == "GET" or path == "/admin/reload":
            assert response.status_code == 200
        else:
            problem_of(response, 400 if path.startswith("/v2") else 415)
    for path in ("/nothing", "/v1/predict/", "/v1/models/none/predict" if method == "POST" else "/v1"):
        problem_of(client.request(method, path), 404)


def test_limits_of_a_body(client: TestClient, service: Service) -> None:
    large = bytes(service.settings.limits.body + 1)
    began = time.perf_counter()
    problem_of(client.post("/v1/predict", content=large, headers={"content-type": "image/png"}), 413)
    pieces = (large[k : k + 65536] for k in range(0, len(large), 65536))  # chunked: no Content-Length says it
    problem_of(client.post("/v1/predict", content=pieces, headers={"content-type": "image/png"}), 413)
    problem_of(client.post("/v1/predict", files=[("image", ("a", LIGHT))] * 9), 413)
    squeezed = {"content-type": "image/png", "content-encoding": "gzip"}
    problem_of(client.post("/v1/predict", content=LIGHT, headers=squeezed), 415)
    assert time.perf_counter() - began < 2
    assert service.memory.held == 0


def test_bodies_of_all_requests_have_one_limit() -> None:
    service = service_of(body=1 << 20, memory=1 << 20)
    with client_of(service) as client:
        service.memory.held = (1 << 20) - 10
        response = client.post("/v1/predict", content=LIGHT, headers={"content-type": "image/png"})
        assert problem_of(response, 503)["type"].endswith("memory")
        assert response.headers["retry-after"] == "1"
        service.memory.held -= (1 << 20) - 10
        assert service.memory.held == 0


def test_several_models_are_asked_by_name() -> None:
    with client_of(service_of({"a": BUNDLE, "b": BUNDLE})) as client:
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["a", "b"]
        assert client.post("/v1/models/b/predict", files={"image": LIGHT}).json()["model"] == "b"
        assert "a, b" in problem_of(client.post("/v1/predict", files={"image": LIGHT}), 404)["detail"]


def test_a_token_is_asked_of_everybody() -> None:
    token = "0123456789abcdef"
    with client_of(service_of(token=token)) as client:
        for method, paths in ROUTES.items():
            for path in paths:
                for header in ({}, {"authorization": "Bearer no"}, {"authorization": f"Basic {token}"}):
                    response = client.request(method, path, headers=header)
                    if path in ("/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
                        assert response.status_code == 200
                    else:
                        problem_of(response, 401)
                        assert response.headers["www-authenticate"] == "Bearer"
        right = {"authorization": f"bearer {token}"}
        assert client.post("/v1/predict", files={"image": LIGHT}, headers=right).status_code == 200
        assert client.post("/v1/predict", files={"image": LIGHT}, headers={**right, "host": "x.org"}).status_code == 200
        told = client.get("/openapi.json", headers=right).json()
        assert told["paths"]["/v1/predict"]["post"]["security"] == [{"token": []}]
        assert told["paths"]["/healthz"]["get"]["security"] == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8000", "[::1]:80", "evil.example", "127.0.0.1.evil.example", ""]
)
def test_without_a_token_other_names_are_refused(client: TestClient, host: str) -> None:
    response = client.get("/v1/models", headers={"host": host})
    if "evil" in host or not host:
        problem_of(response, 421)
    else:
        assert response.status_code == 200


def test_pages_of_other_origins_are_refused(client: TestClient) -> None:
    response = client.post("/admin/reload", headers={"origin": "http://evil.example"})
    problem_of(response, 403)
    assert client.get("/v1/models", headers={"origin": "http://127.0.0.1"}).status_code == 200


def test_too_many_requests_are_refused_and_probes_are_not() -> None:
    service = service_of(requests=1)
    with client_of(service) as client:
        predictor = service.shelf.find(None).batcher.predictor
        go, begun, observe = threading.Event(), threading.Event(), predictor.observe

        def held(pixels: np.ndarray) -> Outputs:
            begun.set()
            assert go.wait(10)
            assert observe is not None
            return observe(pixels)

        object.__setattr__(predictor, "observe", held)
        answered: list[int] = []

        def ask() -> None:
            answered.append(client.post("/v1/predict", files={"image": LIGHT}).status_code)

        thread = threading.Thread(target=ask)
        thread.start()
        assert begun.wait(10)
        response = client.post("/v1/predict", files={"image": LIGHT})
        assert problem_of(response, 503)["type"].endswith("busy")
        assert response.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == client.get("/metrics").status_code == 200
        go.set()
        thread.join()
        assert answered == [200]


def test_readiness_ends_with_draining() -> None:
    service = service_of()
    with client_of(service) as client:
        service.admission.draining = True
        for path in ("/readyz", "/v2/health/ready", "/v2/models/photos/ready"):
            problem_of(client.get(path), 503)
        assert client.get("/healthz").status_code == 200


def test_a_mistake_of_ours_is_told_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    service = service_of()
    with client_of(service) as client:

        def broken(pixels: np.ndarray) -> np.ndarray:
            raise RuntimeError("secret of the image")

        object.__setattr__(service.shelf.find(None).batcher.predictor, "observe", broken)
        told = problem_of(client.post("/v1/predict", files={"image": LIGHT}), 500)
    log = capsys.readouterr().err
    assert "secret" not in json.dumps(told) + log
    lines = [json.loads(line) for line in log.splitlines()]
    mistake = next(line for line in lines if line["event"] == "mistake")
    assert (mistake["request"], mistake["error"]) == (told["request"], "RuntimeError")


def other_weights(bundle: Path) -> None:
    """Another version of the same bundle, as far as anybody asks."""
    path = bundle / "bundle.json"
    fields = json.loads(path.read_text())
    old, new = fields["weights_sha256"], 64 * "e"
    path.write_text(path.read_text().replace(old, new))
    model = bundle / "model.onnx"
    data = model.read_bytes()
    model.write_bytes(data.replace(old.encode(), new.encode()))
    fields = json.loads(path.read_text())
    import hashlib

    fields["files"]["model.onnx"] = hashlib.sha256(model.read_bytes()).hexdigest()
    path.write_text(json.dumps(fields))


def test_a_reload_fails_no_request_and_a_refused_one_changes_nothing(tmp_path: Path) -> None:
    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    with client_of(service_of({"photos": bundle})) as client:
        old = client.get("/v1/models/photos").json()["version"]
        versions: list[str] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                response = client.post("/v1/predict", files={"image": LIGHT})
                versions.append(response.json()["version"] if response.status_code == 200 else response.text)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        other_weights(bundle)
        assert client.post("/admin/reload").json() == {"models": {"photos": 12 * "e"}, "workers": 1}
        stop.set()
        for thread in threads:
            thread.join()
        assert client.post("/v1/predict", files={"image": LIGHT}).json()["version"] == 12 * "e"
        assert set(versions) <= {old, 12 * "e"}
        (bundle / "model.onnx").write_bytes(b"\x00")
        assert "is not the file that was exported" in problem_of(client.post("/admin/reload"), 409)["detail"]
        assert client.post("/v1/predict", files={"image": LIGHT}).json()["version"] == 12 * "e"


def many_frames(count: int) -> bytes:
    frames = [Image.new("L", (1, 1), k % 256) for k in range(2)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    frame = data.index(b"\x21\xf9", 20)
    one = data[frame:-1]
    return data[:-1] + one * count + b";"


def many_scans(count: int) -> bytes:
    """Its last scan again and again, 75 bytes each."""
    data = saved(Image.new("L", (5480, 5480)), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + b"\xff\xd9"


def tiff_of(jpeg: bytes) -> bytes:
    """One strip of JPEG, 5480 pixels each way, gray."""
    values = {256: 5480, 257: 5480, 258: 8, 259: 7, 262: 1, 273: 8 + 2 + 12 * 9 + 4, 277: 1, 278: 5480, 279: len(jpeg)}
    return tiff({tag: (1, value) for tag, value in values.items()}) + jpeg


WHY = {
    "png of 10 gigapixels": "too large",
    "png with a text bomb": "damaged PNG",
    "png with a profile bomb": "damaged PNG",
    "png that is cut": "truncated",
    "gif of 4 gigapixels": "truncated",
    "tiff of 40 gigapixels": "too large",
    "tiff that is its own next": "damaged TIFF",
    "jpeg of 30 megapixels in 400 scans": "too costly",
    "tiff of 30 megapixels in 400 scans": "too costly",
    "jpeg of 4 gigapixels": "too large",
    "ppm that promises more": "too large",
    "bmp of 2 gigapixels": "too large",
}
BOMBS: dict[str, Callable[[], bytes]] = {
    "png of 10 gigapixels": lambda: png(
        width=100_000, height=100_000, pixels=chunk(b"IDAT", zlib.compress(bytes(1000)))
    ),
    "png of 30 megapixels in 90 kB": lambda: png(
        width=5480, height=5480, pixels=chunk(b"IDAT", zlib.compress(bytes(5480 * 16441), 9))
    ),
    "png with a text bomb": lambda: png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 22)))] * 30),
    "png with a profile bomb": lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 26)))),
    "png that is cut": lambda: saved(Image.new("RGB", (300, 300)), "PNG")[:200],
    "gif of 4 gigapixels": lambda: b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
    "gif of 20,000 frames": lambda: many_frames(20_000),
    "tiff of 40 gigapixels": lambda: saved(Image.new("L", (4, 4)), "TIFF").replace(
        struct.pack("<HHII", 256, 4, 1, 4) + struct.pack("<HHII", 257, 4, 1, 4),
        struct.pack("<HHII", 256, 4, 1, 200_000) + struct.pack("<HHII", 257, 4, 1, 200_000),
    ),
    "tiff that is its own next": lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "tiff of 30 megapixels, packed": lambda: saved(Image.new("L", (5480, 5480)), "TIFF", compression="tiff_lzw"),
    "jpeg of 30 megapixels, progressive": lambda: saved(Image.new("RGB", (5480, 5480)), "JPEG", progressive=True),
    "jpeg of 30 megapixels in 400 scans": lambda: many_scans(400),
    "tiff of 30 megapixels in 400 scans": lambda: tiff_of(many_scans(400)),
    "jpeg of 4 gigapixels": lambda: saved(Image.new("L", (8, 8)), "JPEG").replace(
        b"\xff\xc0\0\x0b\x08\0\x08\0\x08", b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff"
    ),
    "webp of 30 megapixels": lambda: saved(Image.new("RGB", (5480, 5480)), "WEBP", lossless=True),
    "ppm that promises more": lambda: b"P6 60000 60000 255\n" + bytes(100),
    "long and thin": lambda: saved(Image.new("L", (1, 60_000)), "PNG"),
    "bmp of 2 gigapixels": lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 46000, 46000, 1, 24, *[0] * 6),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(client: TestClient, name: str) -> None:
    data = BOMBS[name]()
    assert len(data) < 1 << 20
    began = time.process_time()  # of all threads: others may be at work on this machine
    response = client.post("/v1/predict", content=data, headers={"content-type": "image/png"})
    assert time.process_time() - began < 2
    if name in WHY:
        assert WHY[name] in problem_of(response, 422)["detail"]
    else:
        response.raise_for_status()


def test_files_as_they_come_from_real_disks(tmp_path: Path, client: TestClient) -> None:
    make_hostile_folder(tmp_path)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.stat().st_size < 1 << 20]
    refused = set()
    for path in files:
        response = client.post("/v1/predict", content=path.read_bytes(), headers={"content-type": "image/png"})
        if response.status_code != 200:
            problem_of(response, 422)
            refused.add(str(path.relative_to(tmp_path)))
    assert refused >= {name for name in UNREADABLE if (tmp_path / name).is_file()}
    assert len(files) - len(refused) > 40


def test_the_log_has_nothing_of_what_was_sent(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    headers = {"x-request-id": "mine-1"}
    assert client.post("/v1/predict?q=private", files={"image": ("patient-jones.png", LIGHT)}, headers=headers)
    client.post("/v1/predict", files={"image": ("patient-jones.png", b"private words")})
    client.post("/v1/predict", json={"images": [text(LIGHT), "private"]})
    log = capsys.readouterr().err
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in lines] == [200, 422, 422]
    assert lines[0]["request"] == "mine-1"
    assert (lines[0]["path"], lines[0]["images"], lines[0]["model"]) == ("/v1/predict", 1, "photos")
    for word in ("jones", "private", text(LIGHT)[:20]):
        assert word not in log


def test_metrics_count_what_happened() -> None:
    with client_of(service_of()) as client:
        files = [("image", ("a", LIGHT)), ("image", ("b", b"x")), ("image", ("c", DARK))]
        client.post("/v1/predict", files=files)
        client.get("/no/such/path/" + 50 * "x")
        told = client.get("/metrics").text
    for line in (
        'foveal_images_total{model="photos",outcome="answered"} 2.0',
        'foveal_images_total{model="photos",outcome="unreadable"} 1.0',
        'foveal_requests_total{method="POST",route="/v1/predict",status="200"} 1.0',
        'foveal_requests_total{method="GET",route="other",status="404"} 1.0',
        'foveal_images_queued{model="photos"} 0.0',
        'foveal_decode_seconds_count{model="photos"} 3.0',
    ):
        assert line in told.splitlines()


def test_the_page_is_whole_and_lets_nothing_else_in(client: TestClient) -> None:
    response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy
    for outside in ("http://", "https://", "//cdn", "@import", "url("):
        assert outside not in response.text
