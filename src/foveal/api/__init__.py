"""The verbs. Command line, studio and scripts all go through these; there is no second way.

Looking at images does not need torch; what trains, evaluates or predicts imports it when called.
"""

from foveal.api.answering import load, predict
from foveal.api.checking import LabelCheck, check_labels, check_shortcuts
from foveal.api.continuing import BeforeAfter, before_after
from foveal.api.learning import plan, resume, resuming, train, training
from foveal.api.looking import describe, look, propose_split
from foveal.api.measuring import evaluate, report_of
from foveal.api.showing import contact_sheet

__all__ = [
    "BeforeAfter",
    "LabelCheck",
    "before_after",
    "check_labels",
    "check_shortcuts",
    "contact_sheet",
    "describe",
    "evaluate",
    "load",
    "look",
    "plan",
    "predict",
    "propose_split",
    "report_of",
    "resume",
    "resuming",
    "train",
    "training",
]
