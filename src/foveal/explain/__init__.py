"""Looking inside a network, and testing what is said about it.

The module is the verb, too: `foveal.explain(run, images)` is `foveal.api.explain`, and `foveal.explain.arithmetic` a
function of this room.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from foveal.explain.activity import Activity, LayerActivity, activity
from foveal.explain.advantages import Connections, ShiftConsistency, connections, shift_consistency
from foveal.explain.arithmetic import arithmetic, arithmetics
from foveal.explain.attribution import Attribution, Check, Tested, at_original
from foveal.explain.drawing import png, svg
from foveal.explain.drawn import draw_fields, draw_likes, draw_on
from foveal.explain.equivariance import Equivariance, equivariance
from foveal.explain.field import Box, EffectiveField, ReceptiveField, effective_field, receptive_field
from foveal.explain.figures import draw_filters, draw_histogram, draw_maps, draw_spread
from foveal.explain.likes import Excited, Liking, likings
from foveal.explain.maximise import Maximised, maximised
from foveal.explain.picture import draw_tested
from foveal.explain.places import Place
from foveal.explain.spread import DropoutSpread, dropout_spread
from foveal.explain.target import Target, targets
from foveal.explain.terms import Arithmetic
from foveal.explain.watching import AtWork, Filters, LayerAtWork, filters, places, watch
from foveal.explain.why import explain_answer
from foveal.explain.worked import draw_arithmetic

__all__ = [
    "Activity",
    "Arithmetic",
    "AtWork",
    "Attribution",
    "Box",
    "Check",
    "Connections",
    "DropoutSpread",
    "EffectiveField",
    "Equivariance",
    "Excited",
    "Filters",
    "LayerActivity",
    "LayerAtWork",
    "Liking",
    "Maximised",
    "Place",
    "ReceptiveField",
    "ShiftConsistency",
    "Target",
    "Tested",
    "activity",
    "arithmetic",
    "arithmetics",
    "at_original",
    "connections",
    "draw_arithmetic",
    "draw_fields",
    "draw_filters",
    "draw_histogram",
    "draw_likes",
    "draw_maps",
    "draw_on",
    "draw_spread",
    "draw_tested",
    "dropout_spread",
    "effective_field",
    "equivariance",
    "explain_answer",
    "filters",
    "likings",
    "maximised",
    "places",
    "png",
    "receptive_field",
    "shift_consistency",
    "svg",
    "targets",
    "watch",
]


class _Verb(ModuleType):
    """A package whose name is a verb's: once it is imported, Python puts it where the verb was."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return import_module("foveal.api").explain(*arguments, **named)


sys.modules[__name__].__class__ = _Verb
