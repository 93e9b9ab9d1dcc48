"""What goes in: bytes to an array, an array to what a net takes. numpy and Pillow only; never torch."""

from foveal.readers.image import ImageReader

__all__ = ["ImageReader"]
