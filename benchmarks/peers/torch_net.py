"""The worked example and its data, as they are written for PyTorch."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset


def cookbook(dropout: float = 0.0) -> nn.Sequential:
    """Maps (B, 3, 32, 32) to (B, 10) logits."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 128, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(2048, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 10)),
    )


class Images(Dataset):
    """One image at a time, as torchvision's ToTensor makes it: (3, 32, 32) float32 in 0 … 1."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.pixels[row]).permute(2, 0, 1).contiguous().div(255), int(self.labels[row])


def loaders(dataset: Images, batch: int = 64, validation: float = 0.2) -> tuple[DataLoader, DataLoader]:
    """Training and validation; the last rows validate, as in Keras. No workers: with two processors they slow it."""
    cut = round(len(dataset) * (1 - validation))
    train = DataLoader(Subset(dataset, range(cut)), batch, shuffle=True)
    return train, DataLoader(Subset(dataset, range(cut, len(dataset))), batch)
