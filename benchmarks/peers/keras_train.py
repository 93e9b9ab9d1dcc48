"""Keras' tutorial on the worked example, on the backend that KERAS_BACKEND names: FOLDER EPOCHS SEED."""

import sys

import keras
from keras_net import cookbook
from shared import arrays, say


def main(folder: str, epochs: str, seed: str) -> None:
    keras.utils.set_random_seed(int(seed))
    images, labels = arrays(folder, "train")
    test_images, test_labels = arrays(folder, "test")
    model = cookbook(dropout=0.5)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        images.astype("float32") / 255, labels, batch_size=64, epochs=int(epochs), validation_split=0.2, verbose=0
    )
    _, accuracy = model.evaluate(test_images.astype("float32") / 255, test_labels, verbose=0)
    backend = {"tensorflow": "tensorflow-cpu", "torch": "torch"}[keras.backend.backend()]
    say(("keras", backend, "numpy"), accuracy=accuracy)


if __name__ == "__main__":
    main(*sys.argv[1:])
