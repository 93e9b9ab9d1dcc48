"""Several labels at once in a plain PyTorch loop: TABLE EPOCHS SEED. Network, batch and optimizer are those of ours."""

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from shared import say
from sklearn.metrics import average_precision_score
from torch import nn


def main(table: str, epochs: str, seed: str) -> None:
    torch.manual_seed(int(seed))
    with Path(table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({name for row in rows for name in row["target"].split("|")})
    folder = Path(table).parent
    images = torch.from_numpy(np.stack([np.asarray(Image.open(folder / row["path"])) for row in rows]))
    images = images.permute(0, 3, 1, 2).contiguous()
    truth = torch.tensor([[float(name in row["target"].split("|")) for name in labels] for row in rows])
    split = {name: [k for k, row in enumerate(rows) if row["split"] == name] for name in ("train", "test")}
    model, count = net(len(labels)), len(split["train"])
    optimizer = torch.optim.AdamW(model.parameters(), 0.002, eps=1e-7, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.002, total_steps=int(epochs) * -(-count // 64), pct_start=0.1, cycle_momentum=False
    )
    learned = torch.tensor(split["train"])
    for _ in range(int(epochs)):
        model.train()
        for chosen in learned[torch.randperm(count)].split(64):
            batch = shifted(images[chosen])
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(prepared(batch)), smoothed(truth[chosen])).backward()
            optimizer.step()
            scheduler.step()
    model.eval()
    with torch.no_grad():
        parts = torch.tensor(split["test"]).split(128)
        logits = torch.cat([model(prepared(images[part])) for part in parts])
    score = average_precision_score(truth[split["test"]].numpy(), logits.numpy(), average="macro")
    say(("torch", "numpy"), map=float(score))


def net(labels: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128), (128, 128)):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if len(layers) < 12 else []
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(128, labels))


def prepared(images: torch.Tensor) -> torch.Tensor:
    return (images.float() / 255 - 0.5) / 0.25


def smoothed(truth: torch.Tensor) -> torch.Tensor:
    return truth * 0.9 + 0.05


def shifted(images: torch.Tensor) -> torch.Tensor:
    """Mirrored at random, and shifted by up to 8 pixels, each in its own way."""
    padded = nn.functional.pad(images.float(), (8,) * 4, mode="replicate").to(torch.uint8)
    parts = []
    for image in padded:
        top, left = torch.randint(0, 17, (2,)).tolist()
        part = image[:, top : top + 64, left : left + 64]
        parts.append(part.flip(2) if torch.rand(()) < 0.5 else part)
    return torch.stack(parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
