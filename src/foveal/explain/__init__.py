"""Looking inside a network, and testing what is said about it."""

from foveal.explain.activity import Activity, LayerActivity, activity
from foveal.explain.arithmetic import arithmetic, arithmetics
from foveal.explain.drawing import png, svg
from foveal.explain.figures import draw_filters, draw_histogram, draw_maps, draw_spread
from foveal.explain.places import Place
from foveal.explain.spread import DropoutSpread, dropout_spread
from foveal.explain.terms import Arithmetic
from foveal.explain.watching import AtWork, Filters, LayerAtWork, filters, places, watch
from foveal.explain.worked import draw_arithmetic

__all__ = [
    "Activity",
    "Arithmetic",
    "AtWork",
    "DropoutSpread",
    "Filters",
    "LayerActivity",
    "LayerAtWork",
    "Place",
    "activity",
    "arithmetic",
    "arithmetics",
    "draw_arithmetic",
    "draw_filters",
    "draw_histogram",
    "draw_maps",
    "draw_spread",
    "dropout_spread",
    "filters",
    "places",
    "png",
    "svg",
    "watch",
]
