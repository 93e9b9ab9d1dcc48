"""Is our worked example the same network as Keras'? Layers, outputs with the same weights, initial weights.

    FOVEAL_DATA=... python benchmarks/keras_parity.py [--env DIR]

Makes an environment with Keras and TensorFlow in DIR (about 1 GB) unless there is one. Compares on 1,000 test images
of CIFAR-10 from $FOVEAL_DATA/cifar10.zip, every tenth, after training one of the networks for a moment on train images.
Prints Markdown; exit code 1 if any bound does not hold.
"""

import argparse
import datetime
import io
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from common import CACHE, keras_python, processor, table
from PIL import Image

from foveal.nets import describe
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.recipe import InputContract

TOLERANCE = 1e-4
IMAGES = 1000
TRAINED_ON = 5_000
SEEDS = 40
OUTPUTS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", type=Path, default=CACHE / "keras")
    env = parser.parse_args().env
    if "FOVEAL_DATA" not in os.environ:
        parser.error("set FOVEAL_DATA to the folder that holds cifar10.zip (class folders test/LABEL/*.webp)")
    archive = Path(os.environ["FOVEAL_DATA"]) / "cifar10.zip"
    pixels, _ = images(archive, "test", IMAGES)
    networks = {
        "initial": network(seed=0),
        "perturbed": perturbed(network(seed=1)),
        "trained": trained(network(seed=2), *images(archive, "train", TRAINED_ON)),
    }
    theirs = ask_keras(keras_python(env), pixels, networks)
    told = json.loads(str(theirs["told"]))
    header(told["versions"])
    holds = [layers_agree(told), outputs_agree(pixels, networks, theirs), initial_weights_agree(theirs)]
    print(f"\n{'All bounds hold.' if all(holds) else 'A BOUND DOES NOT HOLD.'}")
    return 0 if all(holds) else 1


def images(archive: Path, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Evenly spaced files of a split, by name, so the classes are balanced: (N, 32, 32, 3) uint8, and class numbers."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.startswith(f"{split}/") and name.endswith(".webp"))
        chosen = names[:: len(names) // count][:count]
        pixels = [np.asarray(Image.open(io.BytesIO(opened.read(name))).convert("RGB")) for name in chosen]
    labels = [name.split("/")[1] for name in chosen]
    return np.stack(pixels), np.unique(labels, return_inverse=True)[1]


def network(seed: int) -> Network:
    contract = InputContract(height=32, width=32, channels=3, resize="stretch")
    return build("cookbook", contract, ClassificationHead, OUTPUTS, init="glorot", seed=seed).eval()


def perturbed(net: Network) -> Network:
    """Every weight and bias moved by N(0, 0.05²): biases are not zero, logits are large."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return net


def trained(net: Network, pixels: np.ndarray, labels: np.ndarray) -> Network:
    """Two passes of Adam: confident outputs, weights as training leaves them."""
    adam, generator = torch.optim.Adam(net.parameters()), torch.Generator().manual_seed(3)
    inputs, targets = channels_first(pixels), torch.from_numpy(labels)
    for _ in range(2):
        for batch in torch.randperm(len(inputs), generator=generator).split(32):
            adam.zero_grad()
            net.head.loss(net(inputs[batch]), targets[batch])["cross_entropy"].backward()
            adam.step()
    return net


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


def ask_keras(python: Path, pixels: np.ndarray, networks: dict[str, Network]) -> dict[str, np.ndarray]:
    given = {"pixels": pixels, "cases": np.array(list(networks)), "seeds": np.array(SEEDS)}
    for case, net in networks.items():
        for number, parameter in enumerate(net.parameters()):
            given[f"{case}.{number}"] = parameter.detach().numpy()
    with tempfile.TemporaryDirectory() as folder:
        read, write = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(read, **given)
        script = Path(__file__).with_name("keras_parity_keras.py")
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}
        quiet.pop("PYTHONPATH", None)
        subprocess.run([python, script, read, write], check=True, env=quiet)
        with np.load(write, allow_pickle=False) as found:
            return dict(found)


def layers_agree(told: dict) -> bool:
    ours = describe("cookbook", (32, 32, 3), outputs=OUTPUTS)
    rows = ours.rows[1:]
    same = [
        tuple(shape) == row.shape and parameters == row.parameters
        for row, (_, shape, parameters) in zip(rows, told["layers"], strict=True)
    ]
    lines = [
        (row.token, shown(row.shape), f"{row.parameters:,}", name, shown(shape), f"{parameters:,}", said(ok))
        for row, (name, shape, parameters), ok in zip(rows, told["layers"], same, strict=True)
    ]
    total = ours.parameters == told["parameters"] == 356_810
    lines.append(("total", "", f"{ours.parameters:,}", "", "", f"{told['parameters']:,}", said(total)))
    titles = ("layer", "output", "parameters", "in Keras", "output", "parameters", "equal")
    table("Layers: `foveal describe cookbook --input 32x32x3` and Keras", titles, lines)
    return all(same) and total


def outputs_agree(pixels: np.ndarray, networks: dict[str, Network], theirs: dict[str, np.ndarray]) -> bool:
    lines, holds = [], []
    for case, net in networks.items():
        with torch.no_grad():
            logits = net(channels_first(pixels))
        for what, found in (("logits", logits), ("probabilities", logits.softmax(1))):
            expected = theirs[f"{case}.{what}"]
            difference = float(np.abs(found.numpy() - expected).max())
            labels = int((found.numpy().argmax(1) == expected.argmax(1)).sum())
            holds.append(difference <= TOLERANCE)
            largest = float(np.abs(expected).max())
            lines.append((case, what, f"{largest:.3g}", f"{difference:.1e}", f"{labels:,}", said(holds[-1])))
    titles = ("weights", "outputs", "largest", "largest difference", "same label", f"≤ {TOLERANCE:g}")
    table(f"Outputs with the same weights, {len(pixels):,} CIFAR-10 test images", titles, lines)
    return all(holds)


def initial_weights_agree(theirs: dict[str, np.ndarray]) -> bool:
    """Variances over the seeds within 4 standard errors: a uniform variable's sample variance has s.e. √(0.8 / n)."""
    kernels = [[p.detach().numpy() for p in network(seed).parameters() if p.ndim > 1] for seed in range(SEEDS)]
    names = [row.token for row in describe("cookbook", (32, 32, 3)).rows if row.parameters]
    lines, holds = [], []
    for number, name in enumerate(names):
        arrays = [kernel[number] for kernel in kernels]
        fans = sum(arrays[0].shape[:2]) * math.prod(arrays[0].shape[2:])
        limit, size = math.sqrt(6 / fans), arrays[0].size
        ours, keras = np.mean([a.var(dtype=np.float64) for a in arrays]), theirs["variances"][:, number].mean()
        bound = 4 * math.sqrt(2 * 0.8 / (SEEDS * size))
        inside = max(max(np.abs(a).max() for a in arrays), theirs["largest"][:, number].max()) <= limit * (1 + 1e-6)
        holds.append(abs(ours / keras - 1) <= bound and inside)
        formula = limit**2 / 3
        cells = (name, f"{ours:.4e}", f"{keras:.4e}", f"{formula:.4e}", f"{ours / keras - 1:+.2%}", f"{bound:.2%}")
        lines.append((*cells, said(holds[-1])))
    titles = ("kernel", "ours", "Keras", "2 / (fan in + fan out)", "difference", "4 standard errors", "within")
    table(f"Variance of the initial weights, mean of {SEEDS} seeds each", titles, lines)
    return all(holds)


def header(keras_versions: dict[str, str]) -> None:
    print(f"# Parity with Keras, {datetime.date.today().isoformat()}\n")
    print("Command: `python benchmarks/keras_parity.py`. Ours runs in torch, in float32, like Keras.\n")
    theirs = ", ".join(f"{name} {version}" for name, version in keras_versions.items())
    print(f"- Ours: torch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()}")
    print(f"- Theirs: {theirs}")
    print(f"- Machine: {processor()}, {torch.get_num_threads()} threads, {platform.system()}")


def shown(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def said(holds: bool) -> str:
    return "yes" if holds else "NO"


if __name__ == "__main__":
    sys.exit(main())
