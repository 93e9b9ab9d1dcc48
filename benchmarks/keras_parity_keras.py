"""The Keras side of keras_parity.py: run by it, in an environment of its own. Reads one .npz, writes one .npz."""

import json
import sys

import keras
import numpy as np
import tensorflow
from peers.keras_net import cookbook
from peers.keras_order import in_keras_order


def main(read: str, write: str) -> None:
    given = np.load(read, allow_pickle=False)
    found: dict[str, np.ndarray] = {}
    images = given["pixels"].astype("float32") / 255
    for case in given["cases"]:
        weights = in_keras_order([given[f"{case}.{number}"] for number in range(10)])
        for what, activation in (("logits", None), ("probabilities", "softmax")):
            network = cookbook(activation)
            network.set_weights(weights)
            found[f"{case}.{what}"] = network.predict(images, batch_size=100, verbose=0)
    variances, largest = [], []
    for seed in range(int(given["seeds"])):
        keras.utils.set_random_seed(seed)
        kernels = [array for array in cookbook().get_weights() if array.ndim > 1]
        variances.append([kernel.var(dtype=np.float64) for kernel in kernels])
        largest.append([np.abs(kernel).max() for kernel in kernels])
    keras.backend.clear_session()
    network = cookbook()
    table = [[layer.name, list(layer.output.shape[1:]), layer.count_params()] for layer in network.layers]
    told = {
        "layers": table,
        "parameters": network.count_params(),
        "versions": {"keras": keras.__version__, "tensorflow": tensorflow.__version__, "numpy": np.__version__},
    }
    np.savez(write, told=json.dumps(told), variances=variances, largest=largest, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
