"""Transfer learning as PyTorch's tutorial does it (pytorch.org, "Transfer Learning for Computer Vision"), for so many
minutes: FOLDER NET WEIGHTS TRAINED MINUTES SEED. FOLDER has train/ and test/ with class folders; TRAINED is `all`, or
`output` for the tutorial's second way, the network as a fixed feature extractor. An epoch that would not end in time is
not begun."""

import os
import sys
import time

START = time.monotonic()
# Threads of torch that spin while they wait take the processors from the loader's workers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import timm  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from shared import say  # noqa: E402
from torch import nn  # noqa: E402
from torch.optim import SGD, lr_scheduler  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402
from torchvision import transforms  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402

NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
TRAIN = transforms.Compose(
    [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(), NORMALIZE]
)
TEST = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), NORMALIZE])


def main(folder: str, net: str, weights: str, trained: str, minutes: str, seed: str) -> None:
    torch.manual_seed(int(seed))
    train = ImageFolder(f"{folder}/train", TRAIN)
    model = timm.create_model(net, num_classes=len(train.classes))
    if weights != "none":
        tensors = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith("classifier")}
        model.load_state_dict(tensors, strict=False)
    if trained == "output":
        model.requires_grad_(False)
        model.get_classifier().requires_grad_(True)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = SGD(learning, lr=0.001 if weights != "none" else 0.01, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    loader, until, longest, epochs = DataLoader(train, 32, shuffle=True, num_workers=2), 60 * float(minutes), 0.0, 0
    test = DataLoader(ImageFolder(f"{folder}/test", TEST), 32, num_workers=2)
    while time.monotonic() - START + 1.3 * longest < until:
        begun = time.monotonic()
        model.train()
        for images, targets in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), targets).backward()
            optimizer.step()
        scheduler.step()
        longest, epochs = max(longest, time.monotonic() - begun), epochs + 1
    model.eval()
    right = 0
    with torch.no_grad():
        for images, targets in test:
            right += int((model(images).argmax(1) == targets).sum())
    say(("torch", "torchvision", "timm"), accuracy=right / len(test.dataset), epochs=epochs)


if __name__ == "__main__":
    main(*sys.argv[1:])
