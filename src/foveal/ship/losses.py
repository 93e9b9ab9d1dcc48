"""What rounding costs: the loss measured on the test images, image by image, and whether the export is kept."""

from typing import Any

from foveal.bundle import OnnxNetwork
from foveal.bundle.folder import MODEL, Graph
from foveal.errors import ExportRefused
from foveal.measure.meanings import ERRORS
from foveal.measure.paired import Difference, paired
from foveal.ship.parity import Compared
from foveal.ship.plain import beside
from foveal.ship.subject import Made, Subject

__all__ = ["kept", "telling", "worse"]

SEED = 0  # of the resamples
LOSS, SHARE = 0.02, 0.05  # of a score, and of an error, that an interval has to rule out to say much


def kept(subject: Subject, graph: Graph, model: bytes, how: str, accept: bool) -> Made:
    """`model.onnx` with numbers that were rounded, and what that makes of the first score.

    Args:
        how: it was rounded, in words that begin a sentence.
        accept: keep it even where it is worse.

    Raises:
        ExportRefused: it is significantly worse.
    """
    compared = beside(subject, OnnxNetwork(model), subject.told, keep=True)
    name, found = _score(subject, compared)
    bad = found is not None and worse(name, found)
    if bad and not accept:
        assert found is not None
        raise ExportRefused(
            f"{how} it is worse and was not kept: {name} {found.second:.4f}, in float32 {found.first:.4f}: "
            f"a difference of {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] on {compared.images:,} images; "
            f"{compared.changed:,} answers change.",
            remedy="Keep it all the same with --accept, or export in float32: --to onnx",
        )
    scores = {} if found is None else {name: _told(name, found)}
    tells = found is not None and telling(name, found)
    return Made({MODEL: model}, graph, compared.record(None, subject.split, scores=scores, telling=tells, accepted=bad))


def worse(name: str, found: Difference) -> bool:
    """Whether the second is worse than the first, beyond what chance makes of the same images."""
    return found.low > 0 if name in ERRORS else found.high < 0


def telling(name: str, found: Difference) -> bool:
    """Whether the interval rules out a loss that would matter: 0.02 of a score, or a twentieth of an error. Of few
    images it does not, and that an export is not significantly worse says little."""
    return _loss(name, found) <= (SHARE * found.first if name in ERRORS else LOSS)


def _loss(name: str, found: Difference) -> float:
    """By how much the second may be worse, at the end of the interval."""
    return max(0.0, found.high if name in ERRORS else -found.low)


def _score(subject: Subject, compared: Compared) -> tuple[str, Difference | None]:
    """The first score of both, where there is one."""
    if compared.raw is None:
        return "", None
    task = subject.task
    rated = [task.rate(raw, subject.test, subject.labels, subject.settled) for raw in compared.raw]
    scores, _ = paired(rated[0], rated[1], subject.groups, SEED)
    name = next((name for name in task.headline if name in scores), "")
    return name, scores.get(name)


def _told(name: str, found: Difference) -> dict[str, Any]:
    told = {"network": found.first, "export": found.second, "difference": found.value, "loss": _loss(name, found)}
    return {**told, **{key: getattr(found, key) for key in ("low", "high", "level", "p", "n", "method")}}
