"""Training on a GPU; skipped where there is none."""

from pathlib import Path

import pytest
import torch

import foveal
from foveal.engine import graphs
from foveal.events import Finished, Step
from foveal.recipes import named_recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")

NET = "16c3same:none-bn:relu-mp2-do0.2-32c3same-gmp"
OPTIMIZERS = ["muon", "adam", "sgd"]


def trained(out: Path, optimizer: str, until: int | None = None, **settings: object) -> tuple[list[float], str]:
    """Losses of all steps, and the digest of the weights; closed after `until` steps."""
    losses, digest = [], ""
    changes = {"net": NET, "optimizer": optimizer, "learning_rate": 0.01, "growth": ((0.5, 0.75),), **settings}
    recipe = named_recipe("default", foveal.look("digits")).changed(epochs=4, **changes)
    events = foveal.training("digits", recipe=recipe, out=out, device="cuda")
    for event in events:
        if isinstance(event, Step):
            losses.append(event.loss)
            if len(losses) == until:
                events.close()
                break
        if isinstance(event, Finished):
            digest = event.weights_sha256
    return losses, digest


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_recorded_steps_are_the_steps(
    optimizer: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, _ = trained(tmp_path / "recorded", optimizer, precision=precision)
    monkeypatch.setattr(graphs, "WARM", 10**9)
    plain, _ = trained(tmp_path / "plain", optimizer, precision=precision)
    assert recorded == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_was_stopped_ends_with_the_same_bits(optimizer: str, tmp_path: Path) -> None:
    _, whole = trained(tmp_path / "whole", optimizer)
    trained(tmp_path / "stopped", optimizer, until=37)
    *_, finished = foveal.resuming(tmp_path / "stopped", device="cuda")
    assert finished.weights_sha256 == whole


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(foveal.FovealError, match="The loss became"):
        trained(tmp_path / "run", "sgd", learning_rate=1e30, precision="fp32")
