"""The worked example, as it is written for Keras."""

import keras
from keras import layers


def cookbook(activation: str | None = "softmax", dropout: float = 0.0) -> keras.Sequential:
    """
    Args:
        activation: of the output layer.
        dropout: share of the dense layer's outputs dropped in training; no such layer at 0.
    """
    return keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(128, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            *([layers.Dropout(dropout)] if dropout else []),
            layers.Dense(10, activation=activation),
        ]
    )
