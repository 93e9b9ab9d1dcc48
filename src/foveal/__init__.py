"""From your own images to a convolutional network you understand and can ship.

The verbs are `look`, `plan`, `train`, `repeat`, `resume`, `evaluate`, `compare`, `curve`, `explain`, `predict`,
`load` and `describe`, as on the command line.
"""

from importlib import import_module

TYPE_CHECKING = False  # typing would take longer than all else that loads before the command line can hear Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from foveal.api import (
        compare,
        curve,
        describe,
        evaluate,
        explain,
        export,
        load,
        look,
        plan,
        predict,
        repeat,
        resume,
        resuming,
        train,
        training,
    )
    from foveal.bundle import Predictor
    from foveal.errors import FovealError
    from foveal.measured import Score
    from foveal.recipe import InputContract, Recipe
    from foveal.report import Report
    from foveal.run import Run
    from foveal.types import Dataset, Finding, Reading

__all__ = [
    "Dataset",
    "Finding",
    "FovealError",
    "InputContract",
    "Predictor",
    "Reading",
    "Recipe",
    "Report",
    "Run",
    "Score",
    "compare",
    "curve",
    "describe",
    "evaluate",
    "explain",
    "export",
    "load",
    "look",
    "plan",
    "predict",
    "repeat",
    "resume",
    "resuming",
    "train",
    "training",
]

_HOMES = {
    "Dataset": "types",
    "Finding": "types",
    "FovealError": "errors",
    "InputContract": "recipe",
    "Predictor": "bundle",
    "Reading": "types",
    "Recipe": "recipe",
    "Report": "report",
    "Run": "run",
    "Score": "measured",
}


def __getattr__(name: str) -> "Any":
    # Names load when first used: `foveal --help` and `import foveal` must not wait for torch.
    if name not in __all__:
        raise AttributeError(f"module 'foveal' has no attribute {name!r}")
    if name == "explain":  # the verb and the room of that name, which can be called
        return import_module("foveal.explain")
    value = getattr(import_module(f"foveal.{_HOMES.get(name, 'api')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
