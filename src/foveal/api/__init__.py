"""The verbs. Command line, studio and scripts all go through these; there is no second way.

A verb loads when it is first used: one that predicts from a bundle must not wait for what looks at images, and looking
at images not for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveal.api.answering import load, predict
    from foveal.api.checking import LabelCheck, check_labels, check_shortcuts
    from foveal.api.claiming import begin_random_split
    from foveal.api.comparing import compare
    from foveal.api.continuing import BeforeAfter, before_after
    from foveal.api.curving import begin_curve, curve, is_curve, resume_curve
    from foveal.api.explaining import Explanation, explain, explain_network
    from foveal.api.exporting import KINDS, export
    from foveal.api.learning import plan, resume, resuming, train, training
    from foveal.api.looking import describe, look, propose_split
    from foveal.api.measuring import evaluate, report_of
    from foveal.api.repeating import begin_repeats, repeat, repeats_of, resume_repeats, trainings
    from foveal.api.showing import contact_sheet

__all__ = [
    "KINDS",
    "BeforeAfter",
    "Explanation",
    "LabelCheck",
    "before_after",
    "begin_curve",
    "begin_random_split",
    "begin_repeats",
    "check_labels",
    "check_shortcuts",
    "compare",
    "contact_sheet",
    "curve",
    "describe",
    "evaluate",
    "explain",
    "explain_network",
    "export",
    "is_curve",
    "load",
    "look",
    "plan",
    "predict",
    "propose_split",
    "repeat",
    "repeats_of",
    "report_of",
    "resume",
    "resume_curve",
    "resume_repeats",
    "resuming",
    "train",
    "training",
    "trainings",
]

_HOMES = {
    "BeforeAfter": "continuing",
    "Explanation": "explaining",
    "KINDS": "exporting",
    "LabelCheck": "checking",
    "before_after": "continuing",
    "begin_curve": "curving",
    "begin_random_split": "claiming",
    "begin_repeats": "repeating",
    "check_labels": "checking",
    "check_shortcuts": "checking",
    "compare": "comparing",
    "contact_sheet": "showing",
    "curve": "curving",
    "describe": "looking",
    "evaluate": "measuring",
    "explain": "explaining",
    "explain_network": "explaining",
    "export": "exporting",
    "is_curve": "curving",
    "load": "answering",
    "look": "looking",
    "plan": "learning",
    "predict": "answering",
    "propose_split": "looking",
    "repeat": "repeating",
    "repeats_of": "repeating",
    "report_of": "measuring",
    "resume": "learning",
    "resume_curve": "curving",
    "resume_repeats": "repeating",
    "resuming": "learning",
    "train": "learning",
    "training": "learning",
    "trainings": "repeating",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'foveal.api' has no attribute {name!r}")
    value = getattr(import_module(f"foveal.api.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
