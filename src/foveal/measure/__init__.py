"""How good an answer is: scores with intervals, beside trivial baselines. numpy; never torch."""

from foveal.measure.baselines import BASELINES
from foveal.measure.intervals import bootstrap, wilson
from foveal.measure.label import measure_labels
from foveal.measure.labels import measure_label_sets
from foveal.measure.meanings import ERRORS, PER_LABEL, SCORES
from foveal.measure.value import measure_values

__all__ = [
    "BASELINES",
    "ERRORS",
    "PER_LABEL",
    "SCORES",
    "bootstrap",
    "measure_label_sets",
    "measure_labels",
    "measure_values",
    "wilson",
]
