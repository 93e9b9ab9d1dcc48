"""fastai's way with a network of one's own (docs.fast.ai, "Pure PyTorch to fastai"): FOLDER EPOCHS SEED."""

import sys

from fastai.vision.all import Adam, DataLoaders, Learner, accuracy, set_seed
from shared import arrays, say
from torch import nn
from torch.utils.data import DataLoader
from torch_net import Images, cookbook, loaders


def main(folder: str, epochs: str, seed: str) -> None:
    set_seed(int(seed))
    data = DataLoaders(*loaders(Images(*arrays(folder, "train"))))
    learn = Learner(data, cookbook(dropout=0.5), nn.CrossEntropyLoss(), opt_func=Adam, metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(int(epochs))
        _, score = learn.validate(dl=DataLoader(Images(*arrays(folder, "test")), 64))
    say(("fastai", "torch", "numpy"), accuracy=score)


if __name__ == "__main__":
    main(*sys.argv[1:])
