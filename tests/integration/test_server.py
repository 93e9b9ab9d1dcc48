"""The server's routes, in this process: answers in every form, reloads, the log and metrics."""

import json
import shutil
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import foveal
from serving import BUNDLE, DARK, LIGHT, client_of, problem_of, service_of, text


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


def test_several_models_are_asked_by_name() -> None:
    with client_of(service_of({"a": BUNDLE, "b": BUNDLE})) as client:
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["a", "b"]
        assert client.post("/v1/models/b/predict", files={"image": LIGHT}).json()["model"] == "b"
        assert "a, b" in problem_of(client.post("/v1/predict", files={"image": LIGHT}), 404)["detail"]


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
