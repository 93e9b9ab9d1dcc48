"""How long a detector takes for one image in onnxruntime: our head and SSDLite's on the same backbone.

    python benchmarks/boxes_speed.py [--side 320] [--repeats 300]

Pixels in, raw boxes and logits out, as exported by torch.onnx; what is kept of them afterwards is the same numpy for
both (`foveal.answers.detections`), and is timed apart. The weights are random: time does not depend on them. The
networks take turns, so that a slow moment of the machine meets all. onnxruntime and onnxscript are needed.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from common import table

from foveal.answers.detections import detections
from foveal.nets.layers import build
from foveal.recipe import InputContract
from foveal.tasks import TASKS

NETS = ("timm/mobilenetv2_100", "ssdlite", "detector")
LABELS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=320, help="pixels (default 320)")
    parser.add_argument("--repeats", type=int, default=300, help="images a network (default 300)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sessions = {net: session(net, options.side, Path(folder, f"{number}.onnx")) for number, net in enumerate(NETS)}
    image = np.random.default_rng(0).integers(0, 256, (1, 3, options.side, options.side)).astype(np.float32)
    seconds: dict[str, list[float]] = {net: [] for net in NETS}
    after: dict[str, list[float]] = {net: [] for net in NETS}
    for _ in range(options.repeats + 10):
        for net, runtime in sessions.items():
            start = time.perf_counter()
            (outputs,) = runtime.run(None, {runtime.get_inputs()[0].name: image})
            middle = time.perf_counter()
            detections(outputs[0])
            seconds[net].append(middle - start)
            after[net].append(time.perf_counter() - middle)
    print(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    lines = []
    for net in NETS:
        times = sorted(seconds[net][10:])
        p90 = times[int(0.9 * len(times))]
        kept = statistics.median(after[net][10:])
        lines.append((net, *(f"{1000 * value:.2f}" for value in (statistics.median(times), p90, kept))))
    table(f"One image of {options.side}×{options.side}, ms", ("network", "p50", "p90", "what is kept, p50"), lines)


def session(net: str, side: int, path: Path) -> onnxruntime.InferenceSession:
    task = TASKS["detection"]
    contract = InputContract(height=side, width=side, channels=3)
    network = build(net, contract, task.head, LABELS, strides=task.strides).eval()
    torch.onnx.export(network, (torch.zeros(1, 3, side, side),), path, dynamo=True, verbose=False)
    return onnxruntime.InferenceSession(path)


if __name__ == "__main__":
    main()
