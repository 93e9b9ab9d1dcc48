"""The prediction service: bundles behind HTTP. numpy, Pillow, onnxruntime, FastAPI and uvicorn; never torch."""

from foveal.server.settings import Limits, Settings

__all__ = ["Limits", "Settings"]
