"""How good an answer is: scores with intervals, beside trivial baselines. numpy; never torch."""

from foveal.measure.baselines import BASELINES
from foveal.measure.boxes import measure_boxes
from foveal.measure.intervals import bootstrap, wilson
from foveal.measure.label import measure_labels
from foveal.measure.labels import measure_label_sets
from foveal.measure.meanings import ERROR_KINDS, ERRORS, PER_LABEL, PER_LABEL_OF_BOXES, SCORES
from foveal.measure.value import measure_values

__all__ = [
    "BASELINES",
    "ERRORS",
    "ERROR_KINDS",
    "PER_LABEL",
    "PER_LABEL_OF_BOXES",
    "SCORES",
    "bootstrap",
    "measure_boxes",
    "measure_label_sets",
    "measure_labels",
    "measure_values",
    "wilson",
]
