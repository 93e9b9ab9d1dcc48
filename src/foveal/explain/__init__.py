"""Why a network says what it says, and what it looks at: every map is tested before it is called an explanation."""

from foveal.explain.attribution import Attribution, Check, Tested

__all__ = ["Attribution", "Check", "Tested"]
