"""Why an export disagrees: found by trying what usually goes wrong, then by walking through both, stage by stage."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveal.bundle.predictor import Network
from foveal.bundle.runtime import OUTPUT
from foveal.nets.layers import Network as Module
from foveal.ship.parity import ALLOWED, Told

__all__ = ["reason_of", "without_mirror"]

SCOPES = "pkg.torch.onnx.name_scopes"
NEAR = 1e-3  # of the spread of a stage's numbers: what is nearer is rounding
UNKNOWN = "Why could not be found out: neither the order of labels or channels nor any one layer accounts for it."


def reason_of(
    module: Module,
    network: Network,
    export: Network,
    told: Told,
    exported: Told,
    pixels: np.ndarray,
    data: bytes | None = None,
) -> str:
    """A sentence or two.

    Args:
        told, exported: how the outputs of network and export are read.
        pixels: (B, H, W, C) uint8, images that differ.
        data: the bytes of the export, where it is an ONNX model.
    """
    if tuple(told.labels) != tuple(exported.labels):
        return _labels(told, exported)
    ours, theirs = network(pixels), export(pixels)
    backwards = np.ascontiguousarray(pixels[..., ::-1])
    if pixels.shape[3] > 1 and _near(network(backwards), theirs, told):
        return "It reads the channels in reverse: as blue, green and red what is red, green and blue."
    if module.mirror and _near(without_mirror(module, pixels), theirs, told):
        return "It answers for the image alone, and the network with the mean over the image and its mirror image."
    if order := _order(ours, theirs, told):
        k = next(k for k, was in enumerate(order) if was != k)
        return (
            f"Its outputs are in another order: number {k + 1} is the network's number {order[k] + 1} "
            f"({told.labels[order[k]]!r} where {told.labels[k]!r} belongs)."
        )
    return _parted(module, pixels, data) if data is not None else UNKNOWN


def _labels(told: Told, exported: Told) -> str:
    if sorted(told.labels) == sorted(exported.labels):
        k = next(k for k, pair in enumerate(zip(told.labels, exported.labels)) if pair[0] != pair[1])
        names = f"{told.labels[k]!r} and is called {exported.labels[k]!r}"
        return f"Its labels are in another order: output {k + 1} is {names}."
    missing = sorted({*told.labels} ^ {*exported.labels})
    return f"Its labels are not the network's: {', '.join(map(repr, missing[:5]))} only in one of the two."


def _near(one: np.ndarray, other: np.ndarray, told: Told) -> bool:
    return bool(np.abs(told.numbers(one) - told.numbers(other)).max(initial=0) <= ALLOWED)


def without_mirror(module: Module, pixels: np.ndarray) -> np.ndarray:
    """The network's outputs without the mirror image."""
    with torch.inference_mode():
        images = module.normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        return module.head(module.body(images)).float().numpy()


def _order(ours: np.ndarray, theirs: np.ndarray, told: Told) -> list[int]:
    """Which of our outputs each of theirs is, where that is an order of them other than ours; else nothing."""
    first = 4 if told.answer.placed else 0
    one, other = (raw[..., first:].reshape(-1, raw.shape[-1] - first).astype(np.float64) for raw in (ours, theirs))
    apart = np.abs(other[:, :, None] - one[:, None, :]).max(axis=0)
    order = [int(k) for k in apart.argmin(axis=1)]
    same = apart.min(axis=1).max() <= NEAR * max(1.0, float(np.abs(one).max()))
    return order if same and sorted(order) == list(range(len(order))) and order != sorted(order) else []


def _parted(module: Module, pixels: np.ndarray, data: bytes) -> str:
    """The first stage at which the two differ."""
    ours = _of_torch(module, pixels)
    theirs = _of_onnx(data, list(ours), pixels)
    before = "the pixels"
    for name, wanted in ours.items():
        found = theirs.get(name)
        if found is None or found.shape != wanted.shape:
            continue
        apart = float(np.abs(found.astype(np.float64) - wanted).max())
        spread = max(float(np.abs(wanted).max()), 1e-12)
        if not apart <= NEAR * spread:
            if name == "network.normalize" and (told := _normalised(module, wanted, found)):
                return told
            at = _named(module, name)
            return f"They agree up to {before} and part at {at}, by {apart:.2g} where numbers go up to {spread:.2g}."
        before = _named(module, name)
    return UNKNOWN


def _normalised(module: Module, wanted: np.ndarray, found: np.ndarray) -> str:
    """How the export normalises, where that is a mean and a deviation: found = (pixel − m) / s of each channel."""
    mean, std = (value.flatten().double().cpu().numpy() for value in (module.normalize.mean, module.normalize.std))
    channels = wanted.shape[1]
    mean, std = (np.broadcast_to(value, channels) for value in (mean, std))
    means, stds = [], []
    for k in range(channels):
        x, y = wanted[:, k].ravel().astype(np.float64), found[:, k].ravel().astype(np.float64)
        if np.ptp(x) < 1e-9:
            return ""
        slope, offset = np.polyfit(x, y, 1)
        if slope <= 0 or np.abs(slope * x + offset - y).max() > NEAR * max(1.0, float(np.abs(y).max())):
            return ""
        stds.append(std[k] / slope)
        means.append(mean[k] - offset * std[k] / slope)
    return (
        f"It normalises with mean {_listed(means)} and deviation {_listed(stds)}, where the network has mean "
        f"{_listed(mean)} and deviation {_listed(std)}."
    )


def _listed(values: Any) -> str:
    shown = [f"{value:.4g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else ", ".join(shown)


def _stages(module: Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of what comes one after another, as the export's nodes name them."""
    yield "network.normalize", module.normalize
    for name, child in module.body.named_children():
        yield f"network.body.{name}", child
    if isinstance(module.head, nn.Module):
        yield "network.head", module.head


def _named(module: Module, stage: str) -> str:
    """A stage in the words of the notation, where it is a layer of it."""
    found = next(part for name, part in _stages(module) if name == stage)
    step = next((step.step for step in module.steps if step.module is found), None)
    said = {"network.normalize": "the normalisation", "network.head": "the output layer"}.get(stage)
    return said or (f"{step.token} (token {step.number})" if step else stage.removeprefix("network."))


def _of_torch(module: Module, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
    """What each stage gives, the first time it is at work (a mirrored answer runs all of them twice)."""
    kept: dict[str, np.ndarray] = {}

    def keep(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and name not in kept:
            kept[name] = output.detach().float().cpu().numpy().copy()

    hooks = [
        part.register_forward_hook(lambda _, inputs, output, name=name: keep(name, output))
        for name, part in _stages(module)
    ]
    try:
        with torch.inference_mode():
            module(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    finally:
        for hook in hooks:
            hook.remove()
    return kept


def _of_onnx(data: bytes, stages: list[str], pixels: np.ndarray) -> Mapping[str, np.ndarray]:
    """Likewise of the export, whose nodes say which module they come from."""
    import onnx
    import onnxruntime

    model = onnx.load_from_string(data)
    ends: dict[str, str] = {}
    closed: set[str] = set()
    for node in model.graph.node:
        scopes = next((_scopes(prop.value) for prop in node.metadata_props if prop.key == SCOPES), set())
        for stage in stages:
            if stage in scopes and stage not in closed:
                ends[stage] = node.output[0]
            elif stage in ends and scopes:
                closed.add(stage)
    known = {value.name for value in model.graph.output}
    for name in dict.fromkeys(ends.values()):
        if name not in known:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = [*ends.values(), OUTPUT]
    found = dict(zip(wanted, session.run(wanted, {"pixels": pixels})))
    return {stage: np.asarray(found[name]) for stage, name in ends.items()}


def _scopes(text: str) -> set[str]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return set()
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()
