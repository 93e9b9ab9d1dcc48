"""Why this answer: a map by each method, each with its tests."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveal.chosen import Chosen
from foveal.errors import NetError
from foveal.explain.attribution import Tested
from foveal.explain.faithful import Bench
from foveal.explain.methods import METHODS, Method
from foveal.explain.passes import image_of, outputs_of, scalars, settled_in_eval, without_details
from foveal.nets.layers import Network
from foveal.types import Progress

__all__ = ["explain_answer"]


def explain_answer(
    network: Network,
    pixels: Tensor | np.ndarray,
    chosen: Chosen | None = None,
    methods: Sequence[str | Method] = tuple(METHODS),
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Tested]:
    """Where in the image the answer comes from, by several methods, and whether each can be believed.

    The pass without the mirror image is explained, also of a network that averages over both.

    Args:
        pixels: (C, H, W) or (1, C, H, W), uint8, as the network takes them.
        chosen: what is to be explained (`Answer.choose`); None: what the head says loudest (`Head.winner`).
        methods: names of `METHODS`, or methods made for this network and size.
        seed: of all that the tests draw: the same seed, the same numbers.
        progress: is told the method that is at work, how many are done, and of how many.

    Raises:
        NetError: there is no method of that name.
    """
    for method in methods:
        if isinstance(method, str) and method not in METHODS:
            raise NetError(f"Expected a method ({', '.join(METHODS)}), found {method!r}.")
    with settled_in_eval(network):
        image = image_of(network, pixels)
        normal = network.normalize(image)
        if chosen is None:
            chosen = network.head.winner(outputs_of(network, normal).detach()[0])
        direction = 1
        if chosen.either_way:
            here, without = (scalars(network, x, chosen)[0] for x in (normal, without_details(normal)))
            direction = -1 if here < without else 1
        bench = Bench(network, image, chosen, direction, seed)
        made = [METHODS[method](network, normal) if isinstance(method, str) else method for method in methods]
        tested: list[Tested] = []
        for method in made:
            if progress:
                progress(f"map and tests of {method.name}", len(tested), len(made))
            tested.append(bench.test(method))
        return tested
