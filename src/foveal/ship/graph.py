"""The graph that is exported: from pixels as decoders give them to probabilities."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveal.answers.deciding import temperature_of
from foveal.bundle.folder import Graph, GraphValue
from foveal.nets.layers import Network
from foveal.recipe import InputContract
from foveal.ship.familiar import STRANGENESS
from foveal.task import Answer

__all__ = ["Shipped", "graph_of"]


class Shipped(nn.Module):
    """Pixels (N, H, W, C) uint8, as any decoder lays them out, to what `graph_of` names, in its order, without the
    strangeness: `with_strangeness` adds it.

    Args:
        network: in eval mode.
        settled: what was chosen on the validation images.
    """

    def __init__(self, network: Network, answer: Answer, settled: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.link, self.placed = answer.link, answer.placed
        self.temperature = temperature_of(settled)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(pixels.permute(0, 3, 1, 2))
        found = [outputs]
        if self.placed:
            found += [outputs[..., :4], self._linked(outputs[..., 4:])]
        elif self.link != "none":
            found.append(self._linked(outputs))
        return tuple(found)

    def _linked(self, logits: Tensor) -> Tensor:
        scaled = logits / self.temperature
        return torch.softmax(scaled, dim=-1) if self.link == "softmax" else torch.sigmoid(scaled)


def graph_of(answer: Answer, contract: InputContract, raw: tuple[int, ...], settled: Mapping[str, Any]) -> Graph:
    """Names, shapes and meanings of what `Shipped` takes and gives.

    Args:
        raw: shape of what the head gives for one image.
    """
    colours = "gray" if contract.channels == 1 else "red, green, blue"
    taken = f"images of {contract.height}×{contract.width}, {colours}, 0 to 255, prepared as `input` says"
    pixels = GraphValue(shape=("N", contract.height, contract.width, contract.channels), dtype="uint8", meaning=taken)
    values: dict[str, tuple[tuple[int, ...], str]] = {"outputs": (raw, "what the head gives, before any temperature")}
    if answer.placed:
        values["boxes"] = (*raw[:-1], 4), "left, top, right, bottom in pixels of the input, of each place"
        values["scores"] = (*raw[:-1], raw[-1] - 4), "of each place and label, 0 to 1; overlaps are not taken out yet"
    elif answer.link != "none":
        alone = "they add up to 1" if answer.link == "softmax" else "each on its own"
        values["probabilities"] = raw, f"of each label, 0 to 1, at the temperature that validation chose; {alone}"
    if "look" in settled:
        values[STRANGENESS] = (), "how far from what the training images look like; above 1 unlike them"
    outputs = {
        name: GraphValue(shape=("N", *sides), dtype="float32", meaning=text) for name, (sides, text) in values.items()
    }
    return Graph(inputs={"pixels": pixels}, outputs=outputs)


def raw_shape(network: Network, contract: InputContract) -> tuple[int, ...]:
    """Of what the head gives for one image."""
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    blank = torch.zeros(2, contract.channels, contract.height, contract.width, device=device)
    with torch.inference_mode():
        shape = tuple(network(blank).shape)
    assert math.prod(shape) > 0, shape
    return shape[1:]
