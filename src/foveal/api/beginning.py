"""What a network begins with: its own first weights, those of a file or the hub, or those of another run."""

from typing import TYPE_CHECKING, Any

from foveal.api.preparing import Prepared
from foveal.errors import RecipeError, RunError
from foveal.run import Run
from foveal.types import Dataset

if TYPE_CHECKING:
    from foveal.engine.team import Team

__all__ = ["begin_again", "network_at_start"]


def network_at_start(at: Prepared, team: "Team") -> Any:
    """The network as training begins with it.

    Raises:
        RecipeError: the recipe cannot be followed by several processes.
    """
    from foveal.api.continuing import put_start
    from foveal.engine.predictor import network_for
    from foveal.engine.pretrained import put_weights

    recipe = at.ready.recipe
    if team.size > 1 and (recipe.mixup or recipe.cutmix or (recipe.weights and not recipe.still_norms)):
        raise RecipeError(
            "Several processes can neither blend images of one batch nor train the batch norm of a backbone.",
            remedy="Set mixup=0, cutmix=0 and still_norms=true, or train in one process.",
        )
    network = network_for(recipe, at.task, at.ready.dataset.labels, at.module)
    if at.weights:
        put_weights(network, at.weights)
    if at.start:
        put_start(network, at.start, at.ready.dataset.labels)
    return network


def begin_again(run: Run, network: Any, dataset: Dataset) -> None:
    """The weights that the run began with, for one that was stopped before its first checkpoint.

    Raises:
        WeightsError: they cannot be had any more.
        RunError: they are other ones now.
    """
    from foveal.api.continuing import put_start
    from foveal.engine.checkpoint import file_sha256
    from foveal.engine.pretrained import find_weights, put_weights

    if run.recipe.begin:
        start = Run.open(run.info["start"])
        _same(run, str(start.path), run.recipe.begin, str(start.weights), file_sha256(start.weights))
        put_start(network, start, dataset.labels)
    if run.recipe.weights:
        weights, was = find_weights(run.recipe, accept_licence=True), run.info["weights"]
        _same(run, was["origin"], was["sha256"], weights.origin, weights.sha256)
        put_weights(network, weights)


def _same(run: Run, was: str, expected: str, now: str, found: str) -> None:
    if expected != found:
        raise RunError(
            f"{run.path} began with the weights {was} (SHA-256 {expected[:12]}…), and those found now are others "
            f"({now}, {found[:12]}…).",
            remedy="Bring the old ones back, or train again.",
        )
