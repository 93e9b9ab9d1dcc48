"""How fast the worked example answers in Keras, with the weights of GIVEN.npz: GIVEN.npz SECONDS SEED.

GIVEN.npz: `pixels` (N, 32, 32, 3) uint8; `w0` to `w9`, weights in Keras' order and layouts; `expected`, the
probabilities that the exported network gives for the first images.
"""

import statistics
import sys

import keras
import numpy as np
from answers import timed
from keras_net import cookbook
from shared import say

LARGE = 256


def main(given: str, seconds: str, seed: str) -> None:
    read = np.load(given, allow_pickle=False)
    pixels, expected = read["pixels"].astype("float32") / 255, read["expected"]
    network = cookbook()
    network.set_weights([read[f"w{number}"] for number in range(10)])
    ones = [pixels[row : row + 1] for row in range(len(pixels))]
    large = np.resize(pixels, (LARGE, *pixels.shape[1:]))
    found = network.predict(pixels[: len(expected)], batch_size=100, verbose=0)
    alone = timed(lambda image: np.asarray(network(image)), ones, float(seconds))
    predicted = timed(lambda image: network.predict(image, verbose=0), ones[:20], float(seconds))
    fast = timed(lambda batch: network.predict(batch, batch_size=LARGE, verbose=0), [large], float(seconds))
    say(
        ("keras", {"tensorflow": "tensorflow-cpu", "torch": "torch"}[keras.backend.backend()], "numpy"),
        one_ms=1e3 * statistics.median(alone),
        predict_one_ms=1e3 * statistics.median(predicted),
        batch_per_second=LARGE / statistics.median(fast),
        difference=float(np.abs(found - expected).max()),
        n=len(alone),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
