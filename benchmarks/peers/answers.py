"""How fast an exported network answers: KIND BUNDLE IMAGES.npz BATCH SECONDS SEED.

KIND: `onnxruntime`, a session with its defaults, as its tutorial has it; `foveal`, the predictor. IMAGES.npz: `pixels`
(N, H, W, C) uint8, prepared; `files`, the bytes of encoded images, one after another, and their `sizes`.
"""

import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from shared import say


def main(kind: str, bundle: str, images: str, size: str, seconds: str, seed: str) -> None:
    count = int(size)
    given = np.load(images, allow_pickle=False)
    pixels, ends = given["pixels"], np.cumsum(given["sizes"]).tolist()
    everything = given["files"].tobytes()
    files = [everything[start:end] for start, end in zip([0, *ends], ends)]
    rng = np.random.default_rng(int(seed))
    pixels = pixels[rng.permutation(len(pixels))]
    one, batch, file, many = {"onnxruntime": bare, "foveal": ours}[kind](bundle)
    batches = [pixels[start : start + count] for start in range(0, len(pixels), count)]
    alone, fast = timed(one, list(pixels), float(seconds)), timed(batch, batches, float(seconds))
    read, streamed = timed(file, files, float(seconds)), timed(many, [files], float(seconds))
    say(
        ("onnxruntime", "numpy", "pillow"),
        one_ms=1e3 * statistics.median(alone),
        one_p99_ms=1e3 * sorted(alone)[int(0.99 * (len(alone) - 1))],
        batch_per_second=count / statistics.median(fast),
        file_ms=1e3 * statistics.median(read),
        files_per_second=len(files) / statistics.median(streamed),
        n=len(alone),
    )


def timed(function: Callable[[object], object], items: Sequence[object], seconds: float) -> list[float]:
    """Seconds of each call, the items in turn, after a few that are not counted; three calls at least."""
    for item in items[:10]:
        function(item)
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 3:
        item = items[len(taken) % len(items)]
        began = time.perf_counter()
        function(item)
        taken.append(time.perf_counter() - began)
    return taken


def bare(bundle: str) -> tuple[Callable, Callable, Callable, Callable]:
    """A label and its probability (values and boxes: the raw numbers), with Pillow and onnxruntime."""
    import onnxruntime
    from PIL import Image, ImageOps

    about = json.loads(Path(bundle, "bundle.json").read_text())
    labels, contract = about["labels"], about["input"]
    shape = contract["height"], contract["width"], contract["channels"]
    fit = {"crop": ImageOps.fit, "pad": ImageOps.pad, "stretch": Image.Image.resize}[contract["resize"]]
    session = onnxruntime.InferenceSession(Path(bundle, "model.onnx"))

    def said(probabilities: np.ndarray) -> tuple[str, float]:
        best = int(probabilities.argmax())
        return labels[best], float(probabilities[best])

    def batch(pixels: np.ndarray) -> object:
        found = dict(zip(names, session.run(None, {"pixels": pixels})))
        return [said(row) for row in found["probabilities"]] if about["task"] == "classification" else found

    def prepared(data: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(data)).convert("RGB" if contract["channels"] == 3 else "L")
        how = Image.Resampling[contract["interpolation"].upper()]
        return np.asarray(fit(image, (contract["width"], contract["height"]), how)).reshape(shape)

    def many(files: list[bytes]) -> object:
        return batch(np.stack([prepared(data) for data in files]))

    names = [value.name for value in session.get_outputs()]
    return lambda row: batch(row[None]), batch, lambda data: batch(prepared(data)[None]), many


def ours(bundle: str) -> tuple[Callable, Callable, Callable, Callable]:
    """Whole answers."""
    import foveal

    predictor = foveal.load(bundle)
    contract = predictor.contract
    mapped = predictor.prepare(np.zeros((contract.height, contract.width, contract.channels), np.uint8))[1]

    def batch(pixels: np.ndarray) -> list:
        return predictor.decode(predictor.run(pixels), [mapped] * len(pixels))

    return predictor, batch, predictor, predictor


if __name__ == "__main__":
    main(*sys.argv[1:])
