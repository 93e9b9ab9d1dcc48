"""A bundle is loaded as it was written, or refused with what is wrong; and answers without torch, in any thread."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.bundle import VERSION, Bundle, Predictor
from foveal.bundle.folder import MANIFEST, MODEL, MOST_MANIFEST, WEIGHTS, Kind, metadata_of
from foveal.bundle.guard import MOST_BYTES, MOST_HEADER, check_onnx, check_safetensors
from foveal.errors import BundleError, RecipeError, UnreadableImage
from foveal.types import Geometry

BUNDLES = Path(__file__).parents[1] / "fixtures" / "bundles"
RAMP = np.arange(144, dtype=np.uint8).reshape(12, 12)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return shutil.copytree(BUNDLES / "1", tmp_path / "bundle")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return foveal.load(BUNDLES / "1")


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads((bundle / MANIFEST).read_text())
    change(fields)
    (bundle / MANIFEST).write_text(json.dumps(fields))


def replaced(bundle: Path, name: str, data: bytes) -> None:
    """As somebody who knows of the hashes would."""
    (bundle / name).write_bytes(data)
    rewrite(bundle, lambda fields: fields["files"].update({name: hashlib.sha256(data).hexdigest()}))


def test_there_is_a_fixture_of_every_version() -> None:
    """Written by that version, and never again since; of what needs OpenVINO there is none."""
    found = {path.name for path in BUNDLES.iterdir()}
    kinds = [kind for kind in get_args(Kind) if kind not in ("onnx", "openvino")]
    assert found == {str(k) for k in range(1, VERSION + 1)} | {f"{VERSION}-{kind}" for kind in kinds}
    for path in BUNDLES.iterdir():
        version, _, kind = path.name.partition("-")
        assert Bundle.open(path).manifest.version == int(version)
        assert Bundle.open(path).manifest.kind == (kind or "onnx")


@pytest.mark.parametrize(("kind", "probability"), [("int8", 0.839783), ("bf16", 0.842289), ("torch", 0.842079)])
def test_version_1_answers_as_it_did_in_every_kind(kind: str, probability: float) -> None:
    answer = foveal.load(BUNDLES / f"1-{kind}")(RAMP).as_dict()
    assert (answer["label"], answer["abstained"]) == ("dark", True)
    assert answer["probability"] == pytest.approx(probability, abs=1e-3 if kind == "int8" else 1e-5)


def test_version_1_answers_as_it_did(predictor: Predictor) -> None:
    answer = predictor(RAMP).as_dict()
    assert answer["label"] == "dark"
    assert answer["probability"] == pytest.approx(0.827229, abs=1e-5)
    assert (answer["abstained"], answer["reason"]) == (True, "unlike the training images")
    assert predictor.labels == ("dark", "light")
    light = np.random.default_rng(0).normal(180, 30, (12, 12)).clip(0, 255).astype(np.uint8)
    assert predictor(light).as_dict()["label"] == "light"
    assert predictor(light).abstained is False


def test_one_many_and_step_by_step_give_the_same(predictor: Predictor) -> None:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (12, 12), dtype=np.uint8) // (k + 1) for k in range(9)]
    one_by_one = [predictor(image).as_dict() for image in images]
    prepared = [predictor.prepare(image) for image in images]
    outputs = predictor.run(np.stack([pixels for pixels, _ in prepared]))
    assert outputs.raw.shape == (9, 2)
    assert outputs.strangeness is not None
    assert outputs.strangeness.shape == (9,)
    together = predictor.decode(outputs, [geometry for _, geometry in prepared])
    listed = predictor(images)
    for alone, joint, other in zip(one_by_one, together, listed, strict=True):
        assert not isinstance(other, UnreadableImage)
        for answer in (joint.as_dict(), other.as_dict()):
            assert answer["label"] == alone["label"]
            assert answer["abstained"] == alone["abstained"]
            assert answer["probability"] == pytest.approx(alone["probability"], abs=1e-6)


def test_bytes_of_any_size_are_prepared_as_in_training(predictor: Predictor) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(RAMP, 5, axis=0), 4, axis=1)).save(buffer, "png")
    pixels, geometry = predictor.prepare(buffer.getvalue())
    assert (pixels.shape, pixels.dtype) == ((12, 12, 1), np.uint8)
    assert isinstance(geometry, Geometry)
    assert (geometry.width, geometry.height) == (48, 60)
    with pytest.raises(UnreadableImage):
        predictor(b"no image")


def test_threads_disturb_each_other_in_nothing(predictor: Predictor) -> None:
    rng = np.random.default_rng(2)
    batches = [rng.integers(0, 256, (k % 5 + 1, 12, 12, 1), dtype=np.uint8) for k in range(60)]
    expected = [predictor.run(batch).raw for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: predictor.run(batch).raw, batches))
    for one, other in zip(expected, found):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_strangeness_of_the_graph_is_that_of_numpy(predictor: Predictor) -> None:
    assert predictor.observe is not None
    rng = np.random.default_rng(3)
    pixels = np.stack([rng.normal(120, k, (12, 12, 1)).clip(0, 255).astype(np.uint8) for k in range(1, 90)])
    slow = dataclasses.replace(predictor, observe=None)
    one, other = predictor.run(pixels), slow.run(pixels)
    np.testing.assert_array_equal(one.raw, other.raw)
    assert one.strangeness is not None
    assert other.strangeness is not None
    assert other.strangeness.min() < 1 < other.strangeness.max()
    np.testing.assert_allclose(one.strangeness, other.strangeness, rtol=1e-4)


def test_the_model_card_is_the_owners_to_edit(bundle: Path) -> None:
    (bundle / "README.md").write_text("Licence: mine")
    assert foveal.load(bundle)(RAMP).as_dict()["label"] == "dark"
    (bundle / "README.md").unlink()
    assert foveal.load(bundle)(RAMP).as_dict()["label"] == "dark"


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed model": (
        lambda path: (path / MODEL).write_bytes((path / MODEL).read_bytes() + b" "),
        "not the file that was",
    ),
    "changed weights": (lambda path: (path / WEIGHTS).write_bytes(b"12345678"), "weights.safetensors is not the file"),
    "no model": (lambda path: (path / MODEL).unlink(), "model.onnx is missing"),
    "a folder": (lambda path: ((path / MODEL).unlink(), (path / MODEL).mkdir()), "found a folder"),
    "no JSON": (lambda path: (path / MANIFEST).write_text("{"), "no JSON"),
    "a list": (lambda path: (path / MANIFEST).write_text("[]"), "found 'list'"),
    "another format": (lambda path: rewrite(path, lambda it: it.update(format="zip")), "found 'zip'"),
    "no version": (lambda path: rewrite(path, lambda it: it.pop("version")), "version: Field required"),
    "another kind": (lambda path: rewrite(path, lambda it: it.update(kind="tflite")), "kind: Input should be"),
    "no input": (lambda path: rewrite(path, lambda it: it.pop("input")), "input: Field required"),
    "no graph": (lambda path: rewrite(path, lambda it: it.pop("graph")), "does not say what its graph takes"),
    "a file elsewhere": (
        lambda path: rewrite(path, lambda it: it["files"].update({"../x.onnx": it["files"][MODEL]})),
        "names the file '../x.onnx', expected one beside it",
    ),
    "unnamed model": (lambda path: rewrite(path, lambda it: it["files"].pop(MODEL)), "names no model.onnx"),
    "labels of another": (lambda path: rewrite(path, lambda it: it["labels"].reverse()), "their labels differ"),
    "input of another": (lambda path: rewrite(path, lambda it: it["input"].update(resize="pad")), "their input differ"),
    "other thresholds": (
        lambda path: rewrite(path, lambda it: it["settled"].update(temperature=3.0)),
        "their settled differ",
    ),
    "other shapes": (
        lambda path: rewrite(path, lambda it: it["graph"]["outputs"]["outputs"].update(shape=["N", 3])),
        "The model gives",
    ),
    "no task of ours": (lambda path: rewrite(path, lambda it: it.update(task="poetry")), "No task is called 'poetry'"),
    "garbage": (
        lambda path: replaced(path, MODEL, b"\x3a\xff\xff\xff\xff\x0f garbage"),
        "no ONNX model: it is cut off",
    ),
    "empty": (lambda path: replaced(path, MODEL, b""), "ONNX Runtime does not take the model"),
    "a pickle": (
        lambda path: replaced(path, MODEL, pickle.dumps({"weights": [1.0]})),
        "no ONNX model",
    ),
    "a zip": (lambda path: replaced(path, MODEL, b"PK\x03\x04" + bytes(60)), "no ONNX model"),
    "a large JSON": (
        lambda path: (path / MANIFEST).write_bytes(b" " * (MOST_MANIFEST + 1)),
        "bundle.json is larger than the 16,777,216 bytes",
    ),
    "a large model": (lambda path: os.truncate(path / MODEL, MOST_BYTES + 1), "model.onnx is larger than the 2,147"),
    "a deep JSON": (lambda path: (path / MANIFEST).write_text("[" * 200_000), "no JSON"),
    "a deep field": (
        lambda path: (path / MANIFEST).write_text('{"settled": ' + '{"a":' * 200_000),
        "no JSON",
    ),
    "a number without end": (lambda path: (path / MANIFEST).write_text("1" * 100_000), "no JSON"),
    "a file of no name": (
        lambda path: rewrite(path, lambda it: it["files"].update({"a\0b": 64 * "0"})),
        "Expected the name of a file",
    ),
    "a file of no letters": (
        lambda path: rewrite(path, lambda it: it["files"].update({"\ud800": 64 * "0"})),
        "Expected the name of a file",
    ),
    "an absolute file": (
        lambda path: rewrite(path, lambda it: it["files"].update({"/etc/passwd": 64 * "0"})),
        "names the file '/etc/passwd', expected one beside it",
    ),
    "endless images": (
        lambda path: rewrite(path, lambda it: it["input"].update(height=10**9, width=10**9)),
        "asks for images of 1,000,000,000×1,000,000,000 pixels",
    ),
    "negative images": (
        lambda path: rewrite(path, lambda it: it["input"].update(height=-1)),
        "input.height: Input should be greater",
    ),
    "negative shapes": (
        lambda path: rewrite(path, lambda it: it["graph"]["inputs"]["pixels"].update(shape=["N", -12, 12, 1])),
        "The model takes",
    ),
    "endless shapes": (
        lambda path: rewrite(path, lambda it: it["graph"]["inputs"]["pixels"].update(shape=["N", 10**12, 12, 1])),
        "The model takes",
    ),
    "bloated header": (
        lambda path: replaced(path, WEIGHTS, (1 << 40).to_bytes(8, "little") + b"{}"),
        "its header would be 1,099,511,627,776 bytes long",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_bundle_is_said(bundle: Path, name: str) -> None:
    spoil, message = BAD[name]
    spoil(bundle)
    with pytest.raises(foveal.FovealError) as error:
        foveal.load(bundle)
    assert message in error.value.message, error.value.message


def test_a_newer_bundle_says_how_to_read_it(bundle: Path) -> None:
    rewrite(bundle, lambda fields: fields.update(version=VERSION + 1))
    with pytest.raises(
        BundleError, match=f"a bundle of version {VERSION + 1}, and this Foveal reads them up to"
    ) as error:
        foveal.load(bundle)
    assert "pip install --upgrade foveal" in error.value.remedy


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", [MODEL, WEIGHTS, MANIFEST])
def test_links_are_not_followed(bundle: Path, tmp_path: Path, name: str) -> None:
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=f"Expected a plain file at .*{name}, found a link"):
        foveal.load(bundle)


def test_fields_of_later_are_passed_over(bundle: Path) -> None:
    """A field may be added without a new version."""
    rewrite(bundle, lambda fields: fields.update(colour="green"))
    assert Bundle.open(bundle).manifest.labels == ("dark", "light")


def test_what_cannot_answer_is_refused_when_it_is_loaded(bundle: Path) -> None:
    """Of the right form and no number, in both places that must agree."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(bundle / MODEL)
    fields = json.loads((bundle / MANIFEST).read_text())
    fields["settled"]["temperature"] = "warm"
    onnx.helper.set_model_props(model, metadata_of(fields))
    (bundle / MANIFEST).write_text(json.dumps(fields))
    replaced(bundle, MODEL, model.SerializeToString())
    with pytest.raises(BundleError, match="cannot answer: ValueError"):
        foveal.load(bundle)


@pytest.mark.parametrize("content", [None, b"", b"PK\x05\x06" + bytes(18), b"\x80\x04}q\x00."])
def test_what_is_no_bundle_is_said(tmp_path: Path, content: bytes | None) -> None:
    """Nothing, an empty file, a zip, a pickle: nothing of it is read."""
    place = tmp_path / "model.onnx"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(BundleError, match=r"Expected a bundle \(a folder with bundle.json\)"):
        Bundle.open(place)


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.safetensors"])
def test_field_numbers_that_protobuf_cuts_are_refused(location: str) -> None:
    """13 | 1 << 29 is 13 to whoever keeps 32 bits of a key, and would hide `external_data`."""
    entry = b"\x0a\x08location\x12" + length_of(location.encode()) + location.encode()
    for key, refusal in ((13, "from another file"), (13 | 1 << 29, "a field whose number is none")):
        tag, number = b"", key << 3 | 2
        while number > 0x7F:
            tag, number = tag + bytes([number & 0x7F | 0x80]), number >> 7
        tensor = tag + bytes([number]) + length_of(entry) + entry
        graph = b"\x2a" + length_of(tensor) + tensor
        with pytest.raises(BundleError, match=refusal):
            check_onnx(b"\x3a" + length_of(graph) + graph, Path("model.onnx"))


def test_tensors_outside_the_file_are_refused(bundle: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for place in ("initializer", "node"):
        model = onnx.load(BUNDLES / "1" / MODEL)
        tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "stolen")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")
        if place == "initializer":
            model.graph.initializer.append(tensor)
        else:
            inner = onnx.helper.make_graph(
                [onnx.helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [], []
            )
            model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
        replaced(bundle, MODEL, model.SerializeToString())
        with pytest.raises(BundleError, match="wants to read the tensor 'stolen' from another file"):
            foveal.load(bundle)


def test_onnx_files_that_nest_without_end_are_refused() -> None:
    data = b""
    for _ in range(50):
        for field in (6, 5, 1):  # a graph in an attribute in a node
            data = bytes([field << 3 | 2]) + length_of(data) + data
    data = bytes([7 << 3 | 2]) + length_of(data) + data
    with pytest.raises(BundleError, match="deeper in each other"):
        check_onnx(data, Path("model.onnx"))


def length_of(data: bytes) -> bytes:
    """As protobuf writes it."""
    size, length = len(data), b""
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return length


def header(tensors: object, body: bytes = b"") -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its header would be 0 bytes"),
        (header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)), "in 4 bytes"),
        (header({"a": {"dtype": "F9", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)), "KeyError"),
        (header({"a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}}, bytes(8)), "leave a gap"),
        (header({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, bytes(9)), "9 follow the header"),
        (header({"a": {"dtype": "U8", "shape": [-4], "data_offsets": [0, -4]}}, b""), "no whole number"),
        (header([1, 2]), "cannot be read"),
        ((MOST_HEADER + 1).to_bytes(8, "little") + bytes(MOST_HEADER + 1), "expected at most"),
    ],
)
def test_safetensors_headers_that_lie_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BundleError, match="no sound safetensors file") as error:
        check_safetensors(data, Path("weights.safetensors"))
    assert reason in error.value.message


def test_a_sound_safetensors_file_passes() -> None:
    tensors = {"__metadata__": {"a": "b"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [4, 28]}}
    tensors["x"] = {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}
    check_safetensors(header(tensors, bytes(28)), Path("weights.safetensors"))


def test_devices_of_a_bundle() -> None:
    with pytest.raises(RecipeError, match=r"one of the devices that a bundle can use here \(cpu.*got 'toaster'"):
        foveal.load(BUNDLES / "1", device="toaster")
    with pytest.raises(BundleError, match="has its network with it"):
        foveal.load(BUNDLES / "1", net=object())  # pyright: ignore[reportArgumentType]


WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in NOT_THERE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

NOT_THERE = {"torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors", "scipy", "sklearn", "jinja2", "yaml"}
sys.meta_path.insert(0, Missing())

import os
import pickle  # numpy imports it

def refuse(*arguments, **options):
    os.write(2, b"something was unpickled")
    os._exit(3)

pickle.load = pickle.loads = pickle.Unpickler = refuse
sys.addaudithook(lambda event, _: refuse() if event == "pickle.find_class" else None)  # of the C module, too
if sys.argv[1] == "unpickle":
    import _pickle
    _pickle.loads(pickle.dumps(print))
from foveal.cli import main
main(sys.argv[1:])
"""


def test_unpickling_would_be_seen() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, "unpickle"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (3, b"something was unpickled")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_serve_needs_no_torch_and_unpickles_nothing() -> None:
    """As after `pip install foveal`."""
    command = [sys.executable, "-c", WITHOUT_TORCH, "serve", str(BUNDLES / "1"), "--port", "0"]
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, "png")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = json.loads(server.stderr.readline())["url"]
        headers = {"Content-Type": "image/png"}
        answers = []
        for body in (buffer.getvalue(), pickle.dumps(print)):
            request = urllib.request.Request(f"{url}/v1/predict", body, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    answers.append(json.load(response)["predictions"][0]["label"])
            except urllib.error.HTTPError as error:
                answers.append(error.code)
                error.close()
        server.terminate()
        rest = server.stderr.read()
    assert (answers, server.returncode) == (["dark", 422], 0), rest


def test_predict_needs_no_torch_and_unpickles_nothing(tmp_path: Path) -> None:
    """As after `pip install foveal`."""
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "predict", str(BUNDLES / "1"), str(tmp_path / "ramp.png"), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line["file"] == str(tmp_path / "ramp.png")
    assert line["label"] == "dark"
    assert line["probability"] == pytest.approx(0.827229, abs=1e-5)
