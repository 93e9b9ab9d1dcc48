"""Images a second of PyTorch's tutorial loop on the worked example, a tenth to warm up: HOW IMAGES BATCH SEED.

HOW is `loader`, the tutorial's DataLoader, or `indexed`, batches indexed from one float tensor in memory.
"""

import itertools
import sys
import time
from collections.abc import Iterator

import torch
from shared import random_arrays, say
from torch import nn
from torch_net import Images, cookbook, loaders


def main(how: str, count: str, batch: str, seed: str) -> None:
    torch.manual_seed(int(seed))
    net, size = cookbook(), int(batch)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters())
    pixels, classes = random_arrays(int(count))
    steps, start = len(pixels) // size, 0.0
    warm = max(1, steps // 10)
    batches = loaders(Images(pixels, classes), size, 0)[0] if how == "loader" else indexed(pixels, classes, size)
    for step, (images, labels) in enumerate(itertools.islice(batches, steps)):
        if step == warm:
            start = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
    rate = (steps - warm) * size / (time.perf_counter() - start)
    say(("torch", "numpy"), images_per_second=rate, precision="fp32")


def indexed(pixels, classes, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().div(255)
    targets = torch.from_numpy(classes)
    for rows in torch.randperm(len(inputs)).split(size):
        yield inputs[rows], targets[rows]


if __name__ == "__main__":
    main(*sys.argv[1:])
