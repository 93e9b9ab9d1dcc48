"""Weights that somebody else trained: found, their licence read, put into a network's backbone. safetensors only."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from foveal.engine.checkpoint import file_sha256
from foveal.errors import WeightsError
from foveal.extras import extra
from foveal.nets.backbone import PREFIX, refuse_unknown
from foveal.nets.layers import Network
from foveal.recipe import Recipe

__all__ = ["HUB", "Weights", "backbone_name", "find_weights", "follow_weights", "put_weights"]

HUB = "pretrained"  # `recipe.weights` for those that belong to the backbone's name
FREE = ("apache", "mit", "bsd")  # licences that ask for no more than to be named
REACH = 5.0  # seconds
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")
NOT_STATED = "not stated"
CONTRACT = ("input_size", "mean", "std", "interpolation")


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Args:
        name: of the backbone, as timm lists it.
        origin: where it is from, for people.
        licence: SPDX identifier in lower case, or `not stated`.
        told: what the file says of the images it was trained on (`input_size`, `mean`, `std`, `interpolation`).
    """

    name: str
    path: Path
    origin: str
    licence: str
    sha256: str
    told: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for run.json."""
        return {"name": self.name, "origin": self.origin, "licence": self.licence, "sha256": self.sha256}


def backbone_name(net: str) -> str | None:
    """The backbone that a line begins with, as timm lists it."""
    first = net.strip().partition("-")[0].strip()
    return first[len(PREFIX) :].lower() if first.lower().startswith(PREFIX) else None


def find_weights(recipe: Recipe, accept_licence: bool = False) -> Weights:
    """The weights that a recipe asks for: the file it names, `$FOVEAL_WEIGHTS/NAME.safetensors`, or the hub's.

    Args:
        accept_licence: take weights whose licence is none of Apache, MIT and BSD, too.

    Raises:
        WeightsError: the net has no backbone, the weights cannot be had, or nobody accepted their licence.
    """
    name = backbone_name(recipe.net)
    if name is None:
        raise WeightsError(
            f"Pretrained weights were asked for, and the net {recipe.net} has no backbone that could take them.",
            remedy="Give one: --net timm/mobilenetv2_100. Or train from scratch: --no-pretrained.",
        )
    if recipe.weights not in (None, HUB):
        found = _in_file(name, Path(recipe.weights).expanduser())
    else:
        found = _in_folder(name) or _from_hub(name)
    licence = found.licence
    if licence != NOT_STATED and not licence.startswith(FREE) and not accept_licence:
        raise WeightsError(
            f"The weights of {PREFIX}{name} ({found.origin}) have the licence {licence}, which is none of Apache, MIT "
            "and BSD.",
            remedy="Read it; if it allows what you are about to do: --accept-licence. Or take another backbone.",
        )
    return found


def follow_weights(recipe: Recipe, weights: Weights, settled: set[str]) -> Recipe:
    """The recipe with the input that the weights were trained for.

    Args:
        settled: fields of the recipe that somebody has chosen; they stay.
    """
    told = {**_config(weights.name), **weights.told}
    _, height, width = told["input_size"]
    wanted = {
        "input.height": height,
        "input.width": width,
        "input.channels": 3,
        "input.mean": list(told["mean"]),
        "input.std": list(told["std"]),
        "input.interpolation": "bilinear" if told["interpolation"] == "bilinear" else "bicubic",
    }
    return recipe.changed(**{name: value for name, value in wanted.items() if name not in settled})


def put_weights(network: Network, weights: Weights) -> None:
    """Load them into the network's backbone; an output layer among them is left out.

    Raises:
        WeightsError: they belong to another network, or the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    body = network.backbone
    assert body is not None
    try:
        tensors = load_file(weights.path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(weights.path, error) from error
    output = _config(weights.name).get("classifier") or ()
    output = (output,) if isinstance(output, str) else tuple(output)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(tuple(f"{o}." for o in output))}
    own = body.net.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    unknown = [name for name in tensors if name not in own]
    unlike = [
        f"{name} is {_shape(tensor)}, expected {_shape(own[name])}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    problems = [("missing", missing), ("not in the network", unknown), ("of another shape", unlike)]
    if any(names for _, names in problems):
        told = [f"  {len(names):,} {what}: {_some(names)}" for what, names in problems if names]
        raise WeightsError(
            "\n".join([f"{weights.path} does not hold the weights of {PREFIX}{weights.name}:", *told]),
            remedy="Give the file that timm has for this network (its names are timm's), or name the network it is of.",
        )
    body.net.load_state_dict(tensors, strict=False)


def _in_file(name: str, path: Path) -> Weights:
    if path.suffix.lower() in PICKLES:
        raise WeightsError(
            f"{path} is a pickle, or may be one: reading it can run any program, so Foveal never does.",
            remedy="Convert it where you trust it: safetensors.torch.save_file(STATE_DICT, 'weights.safetensors').",
        )
    if not path.is_file():
        raise WeightsError(
            f"There is no file of weights at {path}.",
            remedy="Give a safetensors file, or leave --weights out to take those of the backbone's name.",
        )
    return _described(name, path, path.name)


def _in_folder(name: str) -> Weights | None:
    folder = os.environ.get("FOVEAL_WEIGHTS")
    if not folder:
        return None
    for stem in dict.fromkeys((name, name.partition(".")[0])):
        path = Path(folder).expanduser() / f"{stem}.safetensors"
        if path.is_file():
            return _described(name, path, path.name)
    return None


def _described(name: str, path: Path, origin: str) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    licence = metadata.get("license") or metadata.get("licence") or NOT_STATED
    told = {key: _read(key, metadata[key], path) for key in CONTRACT if key in metadata}
    source = f" ({metadata['source']})" if metadata.get("source") else ""
    return Weights(name, path, origin + source, licence.lower(), file_sha256(path), told)


def _read(key: str, text: str, path: Path) -> Any:
    if key == "interpolation":
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise WeightsError(f"{path}: expected JSON in its metadata {key}, found {text!r}.") from error


def _from_hub(name: str) -> Weights:
    """From the hub's cache on this machine, or from the hub."""
    with extra("train"):
        from huggingface_hub import constants, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
    config = _config(name)
    repository = config.get("hf_hub_id")
    if not repository:
        refuse_unknown(name)
        raise WeightsError(
            f"timm has no pretrained weights for {PREFIX}{name}.",
            remedy="Give a file: --weights FILE. Or train from scratch: --no-pretrained.",
        )
    reasons = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError)
    try:
        try:
            path = hf_hub_download(repository, "model.safetensors", local_files_only=True)
        except (LocalEntryNotFoundError, OSError, ValueError):
            _reach(constants.ENDPOINT)
            path = hf_hub_download(repository, "model.safetensors")
    except reasons as error:
        folder = os.environ.get("FOVEAL_WEIGHTS")
        absent = "" if not folder or Path(folder).expanduser().is_dir() else ", which is no folder"
        looked = f" They are not in {folder} either{absent}." if folder else ""
        raise WeightsError(
            f"The weights of {PREFIX}{name} cannot be had from huggingface.co/{repository}: "
            f"{str(error).splitlines()[0]}{looked}",
            remedy=f"Connect once, give a file (--weights FILE), or put {name}.safetensors into the folder that "
            "FOVEAL_WEIGHTS names. Or train from scratch: --no-pretrained.",
        ) from error
    licence = (config.get("license") or NOT_STATED).lower()
    return Weights(name, Path(path), f"huggingface.co/{repository}", licence, file_sha256(Path(path)))


def _reach(address: str) -> None:
    """The hub's library tries five times, for half a minute, to reach what is not there.

    Raises:
        ConnectionError: nobody answers, or HF_HUB_OFFLINE forbids to ask.
    """
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set, and they are not in the hub's cache on this machine.")
    try:
        httpx.head(address, timeout=REACH)
    except httpx.TransportError as error:
        raise ConnectionError(f"{address} does not answer ({error}).") from error


def _config(name: str) -> dict[str, Any]:
    """timm's own description of the pretrained weights."""
    with extra("train"):
        from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    standard = {"input_size": (3, 224, 224), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return {**standard, "interpolation": "bicubic", **(config.to_dict() if config else {})}


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path} is no safetensors file, or damaged: {error}.", remedy="Fetch or convert it again.")


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
