"""Looking inside a network, and testing what is said about it."""

from foveal.explain.activity import Activity, LayerActivity, activity
from foveal.explain.places import Place
from foveal.explain.spread import DropoutSpread, dropout_spread
from foveal.explain.watching import AtWork, Filters, LayerAtWork, filters, places, watch

__all__ = [
    "Activity",
    "AtWork",
    "DropoutSpread",
    "Filters",
    "LayerActivity",
    "LayerAtWork",
    "Place",
    "activity",
    "dropout_spread",
    "filters",
    "places",
    "watch",
]
