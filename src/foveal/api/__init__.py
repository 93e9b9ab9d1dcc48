"""The verbs. Command line, studio and scripts all go through these; there is no second way.

Looking at images does not need torch; what trains, evaluates or predicts imports it when called.
"""

from foveal.api.answering import load, predict
from foveal.api.checking import LabelCheck, check_labels, check_shortcuts
from foveal.api.comparing import compare
from foveal.api.continuing import BeforeAfter, before_after
from foveal.api.curving import begin_curve, curve, is_curve, resume_curve
from foveal.api.exporting import KINDS, export
from foveal.api.learning import plan, resume, resuming, train, training
from foveal.api.looking import describe, look, propose_split
from foveal.api.measuring import evaluate, report_of
from foveal.api.repeating import begin_repeats, repeat, repeats_of, resume_repeats, trainings
from foveal.api.showing import contact_sheet

__all__ = [
    "KINDS",
    "BeforeAfter",
    "LabelCheck",
    "before_after",
    "begin_curve",
    "begin_repeats",
    "check_labels",
    "check_shortcuts",
    "compare",
    "contact_sheet",
    "curve",
    "describe",
    "evaluate",
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
