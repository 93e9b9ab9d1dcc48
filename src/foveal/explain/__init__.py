"""Why a network says what it says, and what it looks at: every map is tested before it is called an explanation."""

from foveal.explain.attribution import Attribution, Check, Tested
from foveal.explain.why import explain_answer

__all__ = ["Attribution", "Check", "Tested", "explain_answer"]
