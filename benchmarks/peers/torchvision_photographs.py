"""Photographs to batches with torchvision, the usual way: `python torchvision_photographs.py FOLDER SEED`."""

import json
import sys
import time

import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms

SIDE, BATCH, WORKERS = 224, 64, 2
PASSES = 2


def main() -> None:
    folder = sys.argv[1]
    steps = [transforms.Resize(SIDE), transforms.CenterCrop(SIDE), transforms.PILToTensor()]
    seconds, total = [], 0
    for _ in range(PASSES):
        start = time.perf_counter()
        images = torchvision.datasets.ImageFolder(folder, transforms.Compose(steps))
        count, total = 0, 0
        for batch, _ in DataLoader(images, batch_size=BATCH, num_workers=WORKERS):
            count, total = count + len(batch), total + int(batch[:, :, 0, 0].sum())
        seconds.append(time.perf_counter() - start)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "Pillow": pillow()}
    print(json.dumps({"images": count, "passes": seconds, "checksum": total, "versions": versions}))


def pillow() -> str:
    import PIL

    return PIL.__version__


if __name__ == "__main__":
    main()
