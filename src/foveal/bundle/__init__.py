"""Bundles and the predictor that answers from them: numpy, Pillow, onnxruntime, no torch; `foveal.ship` makes them."""

from foveal.bundle.folder import MANIFEST, VERSION, Agreement, Bundle, Manifest, is_bundle
from foveal.bundle.predictor import Outputs, Predictor
from foveal.bundle.runtime import OnnxNetwork, bundle_predictor

__all__ = [
    "MANIFEST",
    "VERSION",
    "Agreement",
    "Bundle",
    "Manifest",
    "OnnxNetwork",
    "Outputs",
    "Predictor",
    "bundle_predictor",
    "is_bundle",
]
