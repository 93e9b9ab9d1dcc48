"""The airbench package's 94% on CIFAR-10, from arrays: FOLDER SEED. Seconds are of the training and its test alone,
after one pass that builds the kernels; reading the images comes before both."""

import contextlib
import sys
import time
from pathlib import Path

import torch
from shared import arrays, say


def main(folder: str, seed: str) -> None:
    torch.manual_seed(int(seed))
    kept = Path("cifar10")  # where the package looks for its own copy
    kept.mkdir()
    for split in ("train", "test"):
        images, labels = (torch.from_numpy(part) for part in arrays(folder, split))
        torch.save({"images": images, "labels": labels, "classes": list(range(10))}, kept / f"{split}.pt")
    import airbench

    with contextlib.redirect_stdout(sys.stderr):
        airbench.warmup94()
        torch.cuda.synchronize()
        start = time.perf_counter()
        network = airbench.train94(verbose=False)
        accuracy = airbench.evaluate(
            network, airbench.CifarLoader("cifar10", train=False, batch_size=2000), tta_level=2
        )
        torch.cuda.synchronize()
    say(("torch",), accuracy=accuracy, training_seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
