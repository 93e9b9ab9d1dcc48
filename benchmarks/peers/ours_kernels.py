"""How busy our training keeps a GPU: RECIPE.json SOURCE STEPS SEED. Records the kernels of some steps after as many to
warm up; idle is the share of the time between the first and the last in which none ran."""

import sys
from pathlib import Path

import torch
from shared import say
from torch.profiler import ProfilerActivity, profile

import foveal
from foveal.events import Step
from foveal.recipe import Recipe


def main(recipe: str, source: str, count: str, seed: str) -> None:
    settled = Recipe.model_validate_json(Path(recipe).read_text()).changed(seed=int(seed), growth=[], pace=[])
    events = foveal.training(foveal.look(source), recipe=settled, out="run", save_every=float("inf"))
    steps = (event for event in events if isinstance(event, Step))
    several(steps, int(count))
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        several(steps, int(count))
        torch.cuda.synchronize()
    events.close()
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in recorded.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    )
    whole, busy = (spans[-1][1] - spans[0][0]) / 1e6, covered(spans) / 1e6
    facts = {"kernels_a_step": len(spans) / int(count), "seconds_a_step": whole / int(count), "idle": 1 - busy / whole}
    say(("foveal", "torch"), **facts, net=settled.net, batch=settled.batch_size)


def several(steps: object, count: int) -> None:
    for _, _ in zip(range(count), steps):  # pyright: ignore[reportArgumentType]
        pass


def covered(spans: list[tuple[float, float]]) -> float:
    """The length of the union of spans in order."""
    total, reached = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


if __name__ == "__main__":
    main(*sys.argv[1:])
