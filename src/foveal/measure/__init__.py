"""How good an answer is: scores with intervals, beside trivial baselines. numpy; never torch."""

from foveal.measure.baselines import BASELINES
from foveal.measure.intervals import bootstrap, wilson
from foveal.measure.label import PER_LABEL, SCORES, measure_labels

__all__ = ["BASELINES", "PER_LABEL", "SCORES", "bootstrap", "measure_labels", "wilson"]
