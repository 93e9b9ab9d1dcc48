"""Networks: one readable line, the same as objects, and what they cost. Nothing here imports torch.

The torch side is imported by name: `foveal.nets.layers` builds, `foveal.nets.heads` learns, and
`foveal.nets.describe_module` describes somebody's own module.
"""

from foveal.nets.backbone import Backbone
from foveal.nets.composed import Net, Repeat, Residual
from foveal.nets.describe import Description, Row, describe, parse_input
from foveal.nets.notation import parse
from foveal.nets.specs import (
    ACTIVATIONS,
    AvgPool,
    BatchNorm,
    BlurPool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    MaxPool,
    Whiten,
)
from foveal.nets.walk import check, walk
from foveal.nets.zoo import ZOO, expand, net_of

__all__ = [
    "ACTIVATIONS",
    "ZOO",
    "AvgPool",
    "Backbone",
    "BatchNorm",
    "BlurPool",
    "Conv",
    "Dense",
    "Description",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "Layer",
    "MaxPool",
    "Net",
    "Repeat",
    "Residual",
    "Row",
    "Whiten",
    "check",
    "describe",
    "expand",
    "net_of",
    "parse",
    "parse_input",
    "walk",
]
