"""Images a second of `fit` on the worked example, first epoch left out: IMAGES BATCH SEED."""

import sys
import time

import keras
from keras_net import cookbook
from shared import random_arrays, say

EPOCHS = 3


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def main(count: str, batch: str, seed: str) -> None:
    keras.utils.set_random_seed(int(seed))
    images, labels = random_arrays(int(count))
    model, clock = cookbook(), Clock()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    inputs = images.astype("float32") / 255
    model.fit(inputs, labels, batch_size=int(batch), epochs=EPOCHS, callbacks=[clock], verbose=0)
    backend = {"tensorflow": "tensorflow-cpu", "torch": "torch"}[keras.backend.backend()]
    rate = len(images) * (EPOCHS - 1) / sum(clock.seconds[1:])
    say(("keras", backend, "numpy"), images_per_second=rate, precision="fp32")


if __name__ == "__main__":
    main(*sys.argv[1:])
