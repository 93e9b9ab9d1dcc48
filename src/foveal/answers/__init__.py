"""What comes out of a net: parse a target, decode raw outputs, plain scores. numpy only; never torch."""

from foveal.answers.label import Label, LabelPrediction

__all__ = ["Label", "LabelPrediction"]
