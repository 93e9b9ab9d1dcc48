"""What a network looks at, what it likes, and what its architecture buys. It knows `Network`, never a task's name."""

from foveal.explain.advantages import Connections, ShiftConsistency, connections, shift_consistency
from foveal.explain.drawn import draw_fields, draw_likes, draw_on
from foveal.explain.equivariance import Equivariance, equivariance
from foveal.explain.field import Box, EffectiveField, ReceptiveField, effective_field, receptive_field
from foveal.explain.likes import Excited, Liking, likings
from foveal.explain.maximise import Maximised, maximised
from foveal.explain.target import Target, targets

__all__ = [
    "Box",
    "Connections",
    "EffectiveField",
    "Equivariance",
    "Excited",
    "Liking",
    "Maximised",
    "ReceptiveField",
    "ShiftConsistency",
    "Target",
    "connections",
    "draw_fields",
    "draw_likes",
    "draw_on",
    "effective_field",
    "equivariance",
    "likings",
    "maximised",
    "receptive_field",
    "shift_consistency",
    "targets",
]
