"""Checkpoints that survive a kill at any moment: safetensors and JSON, never a pickle.

A checkpoint is a folder `e0003-s000120` (epochs done, steps done in the next) with `state.safetensors` and
`manifest.json`. The tensors are written and flushed first, the manifest with their SHA-256 last, and the folder gets
its name only then. The one before is deleted when the new one has been read back whole.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from foveal.errors import RunError
from foveal.files import flush_folder, write_atomic, write_folder

__all__ = [
    "Checkpoint",
    "file_sha256",
    "latest_checkpoint",
    "load_weights",
    "save_checkpoint",
    "save_weights",
    "weights_sha256",
]


@dataclass(frozen=True)
class Checkpoint:
    """Where training stood.

    Args:
        epoch: epochs done.
        step: steps done in the next epoch.
        tensors: by dotted name.
        numbers: everything that is no tensor, JSON-ready.
    """

    epoch: int
    step: int
    tensors: dict[str, torch.Tensor]
    numbers: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write one beside the last, read it back, then delete the last. Returns its folder."""
    path = folder / f"e{checkpoint.epoch:04d}-s{checkpoint.step:06d}"
    folder.mkdir(exist_ok=True)
    if path.exists():
        shutil.rmtree(path)

    def fill(aside: Path) -> None:
        save_weights(aside / "state.safetensors", checkpoint.tensors)
        manifest = {
            "epoch": checkpoint.epoch,
            "step": checkpoint.step,
            "numbers": checkpoint.numbers,
            "state_sha256": file_sha256(aside / "state.safetensors"),
        }
        write_atomic(aside / "manifest.json", json.dumps(manifest))

    write_folder(path, fill)
    _read(path)
    for other in _folders(folder):
        if other != path:
            shutil.rmtree(other)
    for aside in folder.glob(".*"):
        shutil.rmtree(aside, ignore_errors=True)
    return path


def latest_checkpoint(folder: Path) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """The newest whole checkpoint, or None to start at the beginning; and notes on those passed over as damaged."""
    notes = []
    for path in reversed(_folders(folder)):
        try:
            return _read(path), tuple(notes)
        except (OSError, ValueError, KeyError, RunError) as error:
            notes.append(f"checkpoint {path.name} is damaged ({error}) and was passed over")
    return None, tuple(notes)


def save_weights(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """A safetensors file, whole or not there, flushed to the disk."""
    aside = path.with_name(f".{path.name}")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, aside)
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    aside.replace(path)
    flush_folder(path.parent)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        RunError: it is damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise RunError(f"{path} is damaged: {error}.", remedy="Resume or train the run again.") from error


def weights_sha256(tensors: dict[str, torch.Tensor]) -> str:
    """Over names, types, shapes and values, in the order of the names: equal exactly when the networks are."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Over its bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("e[0-9]*-s[0-9]*")) if folder.is_dir() else []


def _read(path: Path) -> Checkpoint:
    manifest = json.loads((path / "manifest.json").read_text())
    if file_sha256(path / "state.safetensors") != manifest["state_sha256"]:
        raise ValueError("its SHA-256 is not the one in its manifest")
    return Checkpoint(
        manifest["epoch"], manifest["step"], load_weights(path / "state.safetensors"), manifest["numbers"]
    )
