"""What every export must hold: the network's own answers, at any batch; and those that do not hold it are refused."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import ModelProto, helper, numpy_helper

from foveal.bundle import Agreement, OnnxNetwork
from foveal.bundle.folder import MODEL, Graph
from foveal.errors import ExportRefused, MissingExtra, NetError
from foveal.measure.paired import Difference
from foveal.nets.layers import build
from foveal.readers import ImageReader
from foveal.readers.familiarity import strangeness
from foveal.readers.fit import pillow_resize
from foveal.recipe import InputContract
from foveal.ship import bfloat, plain, rounded
from foveal.ship.losses import telling
from foveal.ship.making import MAKERS
from foveal.ship.plain import exported_model, prove
from foveal.ship.reasons import without_mirror
from foveal.ship.subject import Subject
from foveal.ship.whole import IMAGE, whole_model
from foveal.tasks import TASKS
from shipping import subject_of

COLOUR = InputContract(height=24, width=20, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
# Between them: whitening, antialiased pooling, pooling with unequal edges, residual blocks, all kinds of activations, a
# mirrored answer, one channel, a backbone of timm, and both detectors.
CASES: dict[str, tuple[str, str, InputContract, bool]] = {
    "label": (
        "classification",
        "w2:gelu-8c3same:none-bp2-bn:silu-r(8c3same:none-bn)-ap3s2same-gmp-do0.3",
        COLOUR,
        True,
    ),
    "values": ("regression", "8c3-mp2-16n:tanh", InputContract(height=12, width=12, channels=1), False),
    "labels": ("multilabel", "timm/test_efficientnet", InputContract(height=32, width=32, channels=3), False),
    "boxes": (
        "detection",
        "-".join(["8c3s2same"] * 4 + ["8c3s2same:none-bn:relu"]),
        InputContract(height=64, width=96, channels=3),
        False,
    ),
}


@dataclass(frozen=True, eq=False)
class Case:
    subject: Subject
    data: bytes
    graph: Graph
    network: OnnxNetwork


@pytest.fixture(scope="module")
def made() -> Callable[[str], Case]:
    """An export takes seconds: each is made once."""
    kept: dict[str, Case] = {}

    def make(name: str) -> Case:
        if name not in kept:
            task, net, contract, mirror = CASES[name]
            subject = subject_of(task, net, contract, mirror=mirror)
            data, graph = exported_model(subject)
            kept[name] = Case(subject, data, graph, OnnxNetwork(data))
        return kept[name]

    return make


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, made: Callable[[str], Case]) -> Case:
    return made(request.param)


@pytest.fixture
def label(made: Callable[[str], Case]) -> Case:
    return made("label")


def test_every_task_is_among_the_cases() -> None:
    assert {task for task, *_ in CASES.values()} == set(TASKS)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_it_answers_as_torch_at_any_batch(case: Case, batch: int) -> None:
    told, test = case.subject.told, case.subject.test
    geometries = test.geometries or [None] * len(test.files)
    for start in range(0, 21, batch):
        rows = np.arange(start, start + batch)
        pixels = np.ascontiguousarray(test.pixels[rows])
        ours, theirs = case.subject.network(pixels), case.network(pixels)
        assert ours.shape == theirs.shape == (batch, *case.graph.outputs["outputs"].shape[1:])
        assert np.abs(told.numbers(ours) - told.numbers(theirs)).max() <= 1e-4
        for row, one, other in zip(rows, ours, theirs):
            assert told.said(one, geometries[row]) == told.said(other, geometries[row])


def test_the_answers_compared_are_not_all_the_same(case: Case) -> None:
    """Or agreement would mean little."""
    raw = case.subject.network(np.ascontiguousarray(case.subject.test.pixels[:40]))
    numbers = case.subject.told.numbers(raw).reshape(40, -1)
    assert np.unique(numbers.round(4), axis=0).shape[0] >= 35
    assert numbers.std(axis=0).max() > 0.01


def test_what_else_the_graph_gives_is_what_foveal_finds(case: Case) -> None:
    pixels = np.ascontiguousarray(case.subject.test.pixels[:9])
    pixels[0], pixels[1] = 0, 255  # of one colour: no spread, all black or white
    found, told = case.network.named(pixels), case.subject.told
    assert list(found) == list(case.graph.outputs)
    ours = strangeness(pixels, case.subject.settled)
    assert ours is not None
    assert ours.max() > 1
    np.testing.assert_allclose(found["strangeness"], ours, rtol=1e-4, atol=1e-4)
    numbers = told.numbers(found["outputs"])
    if told.answer.placed:
        np.testing.assert_array_equal(found["boxes"], found["outputs"][..., :4])
        np.testing.assert_allclose(found["scores"], numbers[..., 4:], atol=1e-6)
    elif told.answer.link != "none":
        np.testing.assert_allclose(found["probabilities"], numbers, atol=1e-6)


def test_the_file_says_all_that_an_answer_needs_and_nothing_of_this_machine(case: Case) -> None:
    model = onnx.load_from_string(case.data)
    onnx.checker.check_model(model)
    said = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert said["foveal.labels"] == ["a", "b", "c"]
    assert said["foveal.input"] == case.subject.contract.model_dump(mode="json")
    assert said["foveal.settled"] == case.subject.settled
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert b"site-packages" not in case.data
    assert b".py" not in case.data


def sabotaged(data: bytes, change: Callable[[ModelProto], object]) -> bytes:
    model = onnx.load_from_string(data)
    change(model)
    return model.SerializeToString()


def constants(model: ModelProto, scope: str) -> list[onnx.TensorProto]:
    """Those that nodes of a module take, in the order of the nodes."""
    named = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if any(f"'{scope}'" in prop.value for prop in node.metadata_props)]
    return [named[name] for node in nodes for name in node.input if name in named]


def wrong_mean(model: ModelProto) -> None:
    mean = next(
        tensor
        for tensor in constants(model, "network.normalize")
        if np.allclose(numpy_helper.to_array(tensor).ravel()[:3], COLOUR.mean)
    )
    mean.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(mean) + np.float32(0.1), mean.name))


def swapped_channels(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "backwards"))
    for node in model.graph.node:
        node.input[:] = ["swapped" if name == "pixels" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Gather", ["pixels", "backwards"], ["swapped"], axis=3))


def permuted_outputs(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 0]), "order"))
    for node in model.graph.node:
        node.input[:] = ["raw" if name == "outputs" else name for name in node.input]
        node.output[:] = ["raw" if name == "outputs" else name for name in node.output]
    model.graph.node.append(helper.make_node("Gather", ["raw", "order"], ["outputs"], axis=1))


def wrong_weight(model: ModelProto) -> None:
    weight = next(tensor for tensor in constants(model, "network.body.1") if len(tensor.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(1.5 * numpy_helper.to_array(weight), weight.name))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            wrong_mean,
            r"normalises with mean 0\.5, 0\.6, 0\.7 and deviation .*, where the network has mean 0\.4, 0\.5, 0\.6",
        ),
        (swapped_channels, "reads the channels in reverse"),
        (
            permuted_outputs,
            r"outputs are in another order: number 1 is the network's number 2 \('b' where 'a' belongs\)",
        ),
        (wrong_weight, r"agree up to w2:gelu \(token 1\) and part at 8c3same:none \(token 2\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_sabotage_is_refused_with_its_reason(label: Case, change: Callable[[ModelProto], object], reason: str) -> None:
    bad = sabotaged(label.data, change)
    with pytest.raises(ExportRefused, match="disagrees with the network and was not kept: of 120 images") as error:
        prove(label.subject, OnnxNetwork(bad), label.subject.told, bad)
    assert re.search(reason, error.value.message), error.value.message


def test_labels_in_another_order_are_refused_though_no_number_differs(label: Case) -> None:
    exported = replace(label.subject.told, labels=("b", "a", "c"))
    with pytest.raises(ExportRefused, match=r"labels are in another order: output 1 is 'a' and is called 'b'"):
        prove(label.subject, label.network, exported, label.data)


def test_a_change_that_nothing_accounts_for_is_refused_all_the_same(label: Case) -> None:
    def export(pixels: np.ndarray) -> np.ndarray:
        return label.subject.network(pixels) + np.array([0.2, 0, 0], np.float32)

    with pytest.raises(ExportRefused, match="could not be found out"):
        prove(label.subject, export, label.subject.told)


def test_a_tie_is_counted_and_no_reason_to_refuse(label: Case) -> None:
    """Two labels as likely as each other to the last bit: rounding decides, and no number says otherwise."""
    level = np.zeros((1, 3), np.float32)

    def network(pixels: np.ndarray) -> np.ndarray:
        return np.repeat(level, len(pixels), axis=0)

    def export(pixels: np.ndarray) -> np.ndarray:
        raw = network(pixels)
        raw[:, 1] += np.float32(1e-7)
        return raw

    compared = prove(replace(label.subject, network=network), export, label.subject.told)
    assert (compared.changed, compared.ties) == (0, 120)
    assert compared.difference is not None
    assert 0 < compared.difference < 1e-6


def test_not_a_number_agrees_with_nothing(label: Case) -> None:
    def export(pixels: np.ndarray) -> np.ndarray:
        return np.full_like(label.subject.network(pixels), np.nan)

    with pytest.raises(ExportRefused, match="differs by up to inf"):
        prove(label.subject, export, label.subject.told)


def right(subject: Subject) -> Subject:
    """Where the network is always right."""
    said = subject.network(np.ascontiguousarray(subject.test.pixels)).argmax(axis=1)
    return replace(subject, test=replace(subject.test, targets=said))


def test_eight_bits_are_measured_beside_float32(label: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounded, "exported_model", lambda subject: (label.data, label.graph))
    subject = right(label.subject)
    made = MAKERS["int8"](subject, True)
    model = onnx.load_from_string(made.files[MODEL])
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    assert {prop.key for prop in model.metadata_props} >= {"foveal.labels", "foveal.settled"}
    score = made.agreement.scores["accuracy"]
    assert score["network"] == 1
    assert score["export"] > 0.8
    assert score["low"] <= score["difference"] <= score["high"]
    assert made.agreement.allowed is None
    assert made.agreement.changed == round(120 * (1 - score["export"]))


def test_eight_bits_that_are_worse_are_refused_unless_accepted(label: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounded, "exported_model", lambda subject: (label.data, label.graph))
    monkeypatch.setattr(rounded, "_rounded", lambda data, subject: sabotaged(data, permuted_outputs))
    subject = right(label.subject)
    with pytest.raises(ExportRefused, match=r"8 bits it is worse and was not kept: accuracy 0\.\d+, in float32 1"):
        MAKERS["int8"](subject, False)
    made = MAKERS["int8"](subject, True)
    assert made.agreement.accepted
    assert made.agreement.scores["accuracy"]["high"] < 0


@pytest.mark.parametrize("name", ["label", "labels"])
def test_bfloat16_is_half_the_file_and_answers_within_its_rounding(
    name: str, made: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = made(name)
    monkeypatch.setattr(bfloat, "exported_model", lambda subject: (case.data, case.graph))
    found = MAKERS["bf16"](case.subject, True)
    model, whole = (onnx.load_from_string(data) for data in (found.files[MODEL], case.data))
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in whole.graph.initializer}
    stored = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.BFLOAT16]
    weighted = {name for node in whole.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") for name in node.input}
    wanted = {name for name in weighted & kept.keys() if kept[name].ndim > 1 and kept[name].dtype == np.float32}
    assert {tensor.name for tensor in stored} == {f"stored.{name}" for name in wanted}
    for tensor in stored:
        before = kept[tensor.name.removeprefix("stored.")]
        after = np.frombuffer(tensor.raw_data, "<u2").astype("<u4") << 16
        np.testing.assert_allclose(after.view("<f4").reshape(before.shape), before, rtol=2.0**-8)
        assert len(tensor.raw_data) == before.nbytes // 2
    assert found.graph == case.graph
    assert found.agreement.difference is not None
    assert 1e-6 < found.agreement.difference < 0.1
    onnx.checker.check_model(model)


def test_a_weight_in_bfloat16_costs_no_time_in_onnx_runtime(label: Case, tmp_path: Path) -> None:
    """It is turned into float32 when the model is loaded, once."""
    model = onnx.load_from_string(label.data)
    bfloat.with_bfloat16_weights(model)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "loaded.onnx"), 3
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    loaded = onnx.load(tmp_path / "loaded.onnx")
    assert onnx.TensorProto.BFLOAT16 not in {tensor.data_type for tensor in loaded.graph.initializer}
    assert not [node for node in loaded.graph.node if node.name.startswith("as_float32")]


def test_the_nearest_bfloat16_as_torch_finds_it() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1 << 32, 20_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([values, np.float32([0, -0.0, 1, 1 + 2**-8, 1 + 3 * 2**-8, np.inf, -np.inf, np.nan])])
    ours = (bfloat.to_bfloat16(values).astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(ours, torch.from_numpy(values).bfloat16().float().numpy())


def test_bfloat16_that_is_worse_is_refused_unless_accepted(label: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat, "exported_model", lambda subject: (label.data, label.graph))
    monkeypatch.setattr(bfloat, "with_bfloat16_weights", permuted_outputs)
    subject = right(label.subject)
    with pytest.raises(ExportRefused, match=r"In bfloat16 it is worse and was not kept: accuracy 0\.\d+, in float32 1"):
        MAKERS["bf16"](subject, False)
    assert MAKERS["bf16"](subject, True).agreement.accepted


def difference(first: float, low: float, high: float) -> Difference:
    return Difference(first, first, 0.0, low, high, 0.95, 1.0, 60, "tango")


def test_few_images_tell_little_of_rounding() -> None:
    assert telling("accuracy", difference(0.9, -0.02, 0.05))
    assert not telling("accuracy", difference(0.9, -0.021, 0.001))
    assert telling("mae", difference(7.0, -1.0, 0.35))  # of an error less is better: 5% of 7
    assert not telling("mae", difference(7.0, -0.1, 0.36))
    facts = {"images": 60, "split": "test", "difference": 0.01, "allowed": None, "changed": 1}
    score = {"accuracy": {"loss": 0.0512}}
    doubt = Agreement(**facts, scores=score, telling=False).doubt
    assert doubt.startswith("60 images are too few to say what rounding does: accuracy may be worse by 0.0512")
    assert Agreement(**facts, scores=score, telling=True).doubt == ""
    assert Agreement(**facts).doubt == ""


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_graph_resizes_as_foveal_does_to_two_levels(rule: str, interpolation: str) -> None:
    contract = InputContract.model_validate(
        {"height": 24, "width": 32, "channels": 3, "resize": rule, "interpolation": interpolation}
    )
    sides = ["N", 24, 32, 3]
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, sides) for name in ("pixels", "outputs")]
    graph = helper.make_graph([helper.make_node("Identity", ["pixels"], ["outputs"])], "same", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    network, rng = OnnxNetwork(whole_model(model, contract).SerializeToString()), np.random.default_rng(0)
    for height, width in ((24, 32), (100, 151), (31, 90), (250, 50), (7, 5), (1, 40)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        ours = ImageReader().prepare(image, contract)[0].astype(int)
        theirs = network.feed({IMAGE: image[None]})["outputs"][0]
        assert np.abs(ours - theirs).max() <= 2, (height, width)
    if rule == "stretch":  # Pillow begins with the columns here, and then bicubic is clipped elsewhere
        tall = (rng.integers(0, 2, (72, 29, 3)) * 255).astype(np.uint8)
        ours = pillow_resize(pillow_resize(tall, 32, 72, interpolation), 32, 24, interpolation).astype(int)
        assert np.abs(ours - network.feed({IMAGE: tall[None]})["outputs"][0]).max() <= 2


def test_torch_alone_comes_with_a_program_without_a_pickle(made: Callable[[str], Case]) -> None:
    case = made("values")
    found = MAKERS["torch"](case.subject, False)
    (data,) = found.files.values()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for entry in archive.infolist():
            content = archive.read(entry)
            assert not content.startswith((b"PK", b"\x80\x02")), "torch keeps pickles in archives of their own"
    assert found.agreement.difference == 0.0


def test_openvino_says_what_to_install(label: Case) -> None:
    try:
        import openvino  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        with pytest.raises(MissingExtra, match="openvino") as error:
            MAKERS["openvino"](label.subject, False)
        assert "pip install 'foveal[openvino]'" in error.value.remedy
        return
    made = MAKERS["openvino"](label.subject, False)
    assert set(made.files) == {"model.xml", "model.bin"}


def test_what_the_graph_gives_beside_raw_outputs_is_proved_too(label: Case) -> None:
    look = label.subject.settled["look"]
    for name, change in (
        ("strangeness", {"look": {**look, "threshold": 2 * look["threshold"]}}),
        ("probabilities", {"temperature": 2.0}),
    ):
        other = replace(label.subject, settled={**label.subject.settled, **change})
        with pytest.raises(ExportRefused, match=f"The export's {name} differ by up to"):
            prove(other, label.network, other.told, label.data)


def test_a_mirror_image_that_is_left_out_is_recognised(label: Case) -> None:
    def export(pixels: np.ndarray) -> np.ndarray:
        return without_mirror(label.subject.module, pixels)

    with pytest.raises(ExportRefused, match="answers for the image alone"):
        prove(label.subject, export, label.subject.told)


def test_weights_that_one_file_cannot_hold_are_refused(label: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "LARGEST", 1000)
    with pytest.raises(NetError, match="one ONNX file holds 1,000"):
        exported_model(label.subject)


def test_a_module_that_cannot_be_traced_is_said() -> None:
    class Odd(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            flat = images.flatten(1)[:, :3]
            return flat * (2 if float(flat.sum()) > 0 else 1)

    contract = InputContract(height=4, width=4, channels=1)
    subject = subject_of("classification", "4c3-gap", contract, images=100)
    module = build(Odd(), contract, TASKS["classification"].head, 3)
    with pytest.raises(NetError, match="cannot be written as ONNX"):
        exported_model(replace(subject, module=module.eval()))


def test_a_module_that_holds_on_to_its_batch_is_said() -> None:
    class Held(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :3] + torch.zeros(len(images), 3)

    contract = InputContract(height=4, width=4, channels=1)
    subject = subject_of("classification", "4c3-gap", contract, images=100)
    module = build(Held(), contract, TASKS["classification"].head, 3)
    with pytest.raises(NetError, match="only be written as ONNX for batches of 2") as error:
        exported_model(replace(subject, module=module.eval()))
    assert "x.shape[0] for len(x)" in error.value.remedy
