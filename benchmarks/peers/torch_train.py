"""PyTorch's tutorial loop on the worked example: FOLDER EPOCHS SEED."""

import sys

import torch
from shared import arrays, say
from torch import nn
from torch.utils.data import DataLoader
from torch_net import Images, cookbook, loaders


def main(folder: str, epochs: str, seed: str) -> None:
    torch.manual_seed(int(seed))
    training, validating = loaders(Images(*arrays(folder, "train")))
    testing = DataLoader(Images(*arrays(folder, "test")), 64)
    net = cookbook(dropout=0.5)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters())
    for _ in range(int(epochs)):
        net.train()
        for images, labels in training:
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
        accuracy(net, validating)
    say(("torch", "numpy"), accuracy=accuracy(net, testing))


def accuracy(net: nn.Module, loader: DataLoader) -> float:
    right = total = 0
    net.eval()
    with torch.no_grad():
        for images, labels in loader:
            right += (net(images).argmax(1) == labels).sum().item()
            total += len(labels)
    return right / total


if __name__ == "__main__":
    main(*sys.argv[1:])
