"""A bundle: the folder in which a trained network travels, whole, to where it answers.

model.onnx            one file: normalisation, network and probabilities; what else an answer needs in its metadata
weights.safetensors   the same weights, for torch
README.md             a model card; yours to edit, no hash guards it
bundle.json           everything else, and the hashes of the other files; written last
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foveal.bundle.guard import AGAIN, check_onnx, check_safetensors, plain_bytes
from foveal.errors import BundleError
from foveal.phrasing import command
from foveal.recipe import InputContract

__all__ = [
    "CARD",
    "FORMAT",
    "MANIFEST",
    "MODEL",
    "VERSION",
    "WEIGHTS",
    "Agreement",
    "Bundle",
    "Graph",
    "GraphValue",
    "Kind",
    "Manifest",
    "is_bundle",
    "metadata_of",
]

FORMAT = "foveal-bundle"
VERSION = 1
MANIFEST, MODEL, WEIGHTS, CARD = "bundle.json", "model.onnx", "weights.safetensors", "README.md"
MOST_MANIFEST = 16 << 20  # bytes
MOST_PIXELS = 1 << 26  # that a network takes; 8192×8192
PREFIX = "foveal."  # of keys in the metadata of an ONNX file

Kind = Literal["onnx", "int8", "bf16", "openvino", "torch"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class GraphValue(_Record):
    """An input or an output of the graph."""

    shape: tuple[int | str, ...] = Field(description="sides; `N` is the number of images")
    dtype: Literal["uint8", "float32"] = Field(description="of its numbers")
    meaning: str = Field(description="in words")


class Graph(_Record):
    """What the graph takes and gives."""

    inputs: dict[str, GraphValue] = Field(description="by name")
    outputs: dict[str, GraphValue] = Field(description="by name; `outputs` is what Foveal's own predictor reads")
    opset: int | None = Field(default=None, description="of ONNX")


class Agreement(_Record):
    """How far the export's answers are those of the network it was made of, on the run's own test images."""

    images: int = Field(description="that both answered")
    split: str = Field(description="whose images: `test`; another one's where there is none")
    difference: float | None = Field(
        description="largest of a probability (boxes: and of a corner, in shares of the longer side; values: in "
        "standard deviations of that value); none where there was no image"
    )
    allowed: float | None = Field(description="above this an export is refused; none where accuracy decides")
    changed: int = Field(description="images whose answer differs; any refuses an export in float32")
    ties: int = Field(
        default=0,
        description="images whose answer differs, no number by more than 1e-6 (boxes: 1e-5); not in `changed`",
    )
    torch_seconds: float | None = Field(default=None, description="an image, in batches of `batch`, by torch")
    export_seconds: float | None = Field(default=None, description="likewise by the export")
    torch_latency: float | None = Field(default=None, description="seconds for one image alone, by torch; median")
    export_latency: float | None = Field(default=None, description="likewise by the export")
    batch: int | None = Field(default=None, description="images in a batch of `torch_seconds`")
    scores: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="where numbers were rounded: the first score of the `network` and of the `export` on the test "
        "images, their `difference` with the interval from `low` to `high` at `level`, its `p` and `method`; and the "
        "`loss` that the interval still allows",
    )
    telling: bool | None = Field(
        default=None,
        description="whether the interval in `scores` is narrow enough to rule out a loss of 0.02 (errors: of 5%); "
        "none where nothing was rounded",
    )
    accepted: bool = Field(default=False, description="whether it is worse, and was exported all the same (`--accept`)")
    whole: dict[str, float] = Field(
        default_factory=dict,
        description="of `--whole`: `images`, largest `difference` of a probability and images `changed` against "
        "Foveal's own resizing",
    )

    @property
    def doubt(self) -> str:
        """A sentence where numbers were rounded and too few images can say what that does; else nothing."""
        if self.telling is not False:
            return ""
        if not self.scores:
            return "Rounding was not measured: there is no test image with a target."
        worst = ", ".join(f"{name} may be worse by {score['loss']:.4f}" for name, score in self.scores.items())
        return f"{self.images:,} images are too few to say what rounding does: {worst}, as far as they tell."


class Manifest(_Record):
    """`bundle.json`."""

    format: Literal["foveal-bundle"] = Field(description="always `foveal-bundle`")
    version: int = Field(ge=1, le=VERSION, description="of this form; all that were ever written stay readable")
    kind: Kind = Field(
        description="what answers: `onnx` in float32, `int8` and `bf16` the same rounded, `openvino`, `torch`"
    )
    task: str = Field(description="a name of `foveal.tasks.TASKS`")
    labels: tuple[str, ...] = Field(description="names of what the outputs say, in their order")
    input: InputContract = Field(description="what the network takes, and how an image becomes that")
    settled: dict[str, Any] = Field(
        description="chosen on the validation images: temperature, operating point, thresholds, widths of intervals, "
        "what images look like"
    )
    recipe: dict[str, Any] = Field(description="everything that decided the result, as in the run")
    source: dict[str, Any] = Field(description="of the images: `name` and `fingerprint`")
    weights_sha256: str = Field(description="over names, types, shapes and values of the weights; the run's")
    graph: Graph | None = Field(default=None, description="what it takes and gives; none where `kind` is `torch`")
    agreement: Agreement = Field(description="with the network in torch")
    made: dict[str, Any] = Field(description="`created`, and versions of `foveal`, `torch`, `onnx`, `onnxruntime`")
    files: dict[str, str] = Field(description="name to SHA-256 of each other file but the model card")


def is_bundle(path: object) -> bool:
    """Whether a bundle is there."""
    return isinstance(path, str | Path) and (Path(path) / MANIFEST).is_file()


def metadata_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What of a manifest travels in the ONNX file, too, for whoever has only that: JSON texts by key.

    Args:
        manifest: JSON-ready.
    """
    keys = ("format", "version", "task", "labels", "input", "settled", "recipe", "source", "weights_sha256")
    return {PREFIX + key: json.dumps(manifest[key], ensure_ascii=False, sort_keys=True) for key in keys}


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose files are those that were written, and nothing but data. Made by `Bundle.open`.

    Args:
        stated: what the metadata of its ONNX file must say, `metadata_of` what is written in `bundle.json`.
        contents: name to bytes of its files, as they were when their hashes were checked.
    """

    path: Path
    manifest: Manifest
    stated: Mapping[str, str]
    contents: Mapping[str, bytes]

    @classmethod
    def open(cls, path: "str | Path") -> "Bundle":
        """Read and check a bundle: form, version, hashes, and that its files name no others.

        Raises:
            BundleError: what is wrong, where, and what to do.
        """
        path = Path(path)
        if not (path / MANIFEST).exists():
            found = "a folder without it" if path.is_dir() else "a file" if path.exists() else "nothing"
            run = path if (path / "run.json").is_file() else "RUN"
            raise BundleError(
                f"Expected a bundle (a folder with {MANIFEST}) at {path}, found {found}.",
                remedy=f"Bundles are made by: {command('foveal', 'export', run)}",
            )
        manifest, stated = _manifest(path / MANIFEST)
        contents = {name: _checked(path, name, sha256) for name, sha256 in manifest.files.items()}
        for name in NEEDED[manifest.kind]:
            if name not in contents:
                raise BundleError(f"{path / MANIFEST} names no {name}, which {manifest.kind} needs.", remedy=AGAIN)
        for name, data in contents.items():
            if name.endswith(".onnx"):
                check_onnx(data, path / name)
            elif name.endswith(".safetensors"):
                check_safetensors(data, path / name)
        return cls(path, manifest, stated, contents)


NEEDED: dict[Kind, tuple[str, ...]] = {
    "onnx": (MODEL,),
    "int8": (MODEL,),
    "bf16": (MODEL,),
    "openvino": ("model.xml", "model.bin"),
    "torch": (WEIGHTS,),
}


def _manifest(path: Path) -> tuple[Manifest, dict[str, str]]:
    try:
        fields = json.loads(plain_bytes(path, MOST_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is no JSON: {error}.", remedy=AGAIN) from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        found = fields.get("format") if isinstance(fields, dict) else type(fields).__name__
        raise BundleError(f"Expected {path} to be of the format {FORMAT!r}, found {found!r}.", remedy=AGAIN)
    version = fields.get("version")
    if isinstance(version, int) and version > VERSION:
        raise BundleError(
            f"{path} is a bundle of version {version}, and this Foveal reads them up to {VERSION}.",
            remedy="Install a newer one: pip install --upgrade foveal",
        )
    try:
        manifest = Manifest.model_validate(fields)
        if manifest.input.height * manifest.input.width > MOST_PIXELS:
            sides = f"{manifest.input.height:,}×{manifest.input.width:,}"
            raise BundleError(f"{path} asks for images of {sides} pixels, expected {MOST_PIXELS:,} or fewer.")
        return manifest, metadata_of(fields)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5]]
        raise BundleError(f"{path} does not hold:\n" + "\n".join(lines), remedy=AGAIN) from None


def _checked(folder: Path, name: str, sha256: str) -> bytes:
    """
    Raises:
        BundleError: it is not the file that was written.
    """
    if Path(name).name != name or name in (MANIFEST, "..", "."):
        raise BundleError(f"{folder / MANIFEST} names the file {name!r}, expected one beside it.", remedy=AGAIN)
    data = plain_bytes(folder / name)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BundleError(
            f"{folder / name} is not the file that was exported: expected SHA-256 {sha256}, found {found}.",
            remedy=AGAIN,
        )
    return data
