"""What comes out of a net: parse a target, decode raw outputs, plain scores. numpy only; never torch."""

from foveal.answers.boxes import Box, Boxes, BoxesPrediction
from foveal.answers.label import Label, LabelPrediction
from foveal.answers.labels import Labels, LabelsPrediction
from foveal.answers.value import Value, ValuePrediction

__all__ = [
    "Box",
    "Boxes",
    "BoxesPrediction",
    "Label",
    "LabelPrediction",
    "Labels",
    "LabelsPrediction",
    "Value",
    "ValuePrediction",
]
