"""Recipes are validated and complete; runs say what is missing."""

import json
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.errors import RecipeError, RunError
from foveal.recipe import Recipe
from foveal.recipes import RECIPES, named_recipe
from foveal.run import Run, free_run_path
from foveal.types import Dataset, Source


def dataset(side: int, n: int = 1000, given: tuple = (), channels: int = 3) -> Dataset:
    return Dataset(
        source=object.__new__(Source),
        task="classification",
        files=tuple(map(str, range(n))),
        cells=tuple(str(row % 10) for row in range(n)),
        targets=np.arange(n) % 10,
        strata=np.arange(n) % 10,
        groups=np.arange(n),
        splits=np.full(n, "", dtype="<U10"),
        labels=tuple("0123456789"),
        sizes=np.full((n, 2), side),
        channels=channels,
        modes={"RGB": n},
        findings=(),
        fingerprint="",
        given=given,
    )


def test_the_cookbook_recipe_is_the_worked_example() -> None:
    recipe = named_recipe("cookbook", dataset(32, given=("train", "test")))
    assert recipe.net == "32c3-mp2-64c3-mp2-128c3-128n"
    assert (recipe.epochs, recipe.batch_size, recipe.validation, recipe.test) == (10, 64, 0.2, None)
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.beta2, recipe.epsilon) == (
        "adam",
        1e-3,
        0.9,
        0.999,
        1e-7,
    )
    assert (recipe.input.mean, recipe.input.std, recipe.init, recipe.schedule) == ((0.0,), (1.0,), "glorot", "constant")
    assert (recipe.flip, recipe.translate, recipe.label_smoothing, recipe.weight_decay) == (False, 0, 0.0, 0.0)
    dropout = named_recipe("cookbook-dropout", dataset(32, given=("train", "test")))
    assert dropout == recipe.changed(name="cookbook-dropout", net=recipe.net + "-do0.5")


@pytest.mark.parametrize("side", [1, 4, 8, 28, 32, 64, 500])
@pytest.mark.parametrize("channels", [1, 3])
def test_default_nets_can_be_built_at_every_size(side: int, channels: int) -> None:
    recipe = named_recipe("default", dataset(side, channels=channels))
    assert max(recipe.input.height, recipe.input.width) <= 64
    size = (recipe.input.height, recipe.input.width, channels)
    assert foveal.describe(recipe.net, size=size).parameters > 0


def test_shares_make_70_15_15() -> None:
    recipe = named_recipe("default", dataset(32))
    assert recipe.test == 0.15
    assert recipe.validation is not None
    assert recipe.validation * (1 - recipe.test) == pytest.approx(0.15)
    assert named_recipe("default", dataset(32, given=("train", "validation", "test"))).validation is None


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_json(name: str) -> None:
    recipe = named_recipe(name, dataset(32))
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_whole_epochs_stay_whole_in_json() -> None:
    recipe = named_recipe("default", dataset(32))
    for epochs, written in ((20, "20"), (1.6, "1.6")):
        text = recipe.changed(epochs=epochs, growth=[[0.3, 0.5]]).model_dump_json()
        assert f'"epochs":{written},' in text
        read = Recipe.model_validate_json(text)
        assert (type(read.epochs), read.epochs, read.growth) == (type(epochs), epochs, ((0.3, 0.5),))
        assert read.model_dump_json() == text
        assert f'"epochs":{written},' in read.changed(seed=1).model_dump_json()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"validation": 1.5}, "validation"),
        ({"optimizer": "lion"}, "'adam', 'sgd' or 'muon'"),
        ({"epochs": 0.0}, "epochs"),
        ({"growth": [[0.5, 2]]}, "growth: .* shares above 0 and at most 1"),
        ({"growth": [[0.5, 0.5], [0.5, 0.7]]}, "growth: .* the first of each pair rising"),
        ({"growth": [[0, 0.5]]}, "growth: .* shares above 0"),
        ({"speed": 11}, "no such field; did you mean seed"),
        ({"input": {"height": 8, "width": 8, "channels": 3, "hight": 9}}, "did you mean input.height"),
        ({"xyz": 11}, "no such field; the fields are name, task, net"),
        ({"input": {"height": 8, "width": 8, "channels": 3, "mean": [0, 0]}}, "mean has 2 values"),
    ],
)
def test_impossible_values_are_named(changes: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        named_recipe("default", dataset(32)).changed(**changes)


def test_dotted_names_reach_into_the_input() -> None:
    recipe = named_recipe("default", dataset(200)).changed(**{"input.height": 96, "input.width": 80, "epochs": 3})
    assert (recipe.input.height, recipe.input.width, recipe.input.channels, recipe.epochs) == (96, 80, 3, 3)
    with pytest.raises(RecipeError, match=r"input\.depth"):
        recipe.changed(**{"input.depth": 1})


def test_run_says_what_it_found(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "no", "nothing"), (tmp_path, "an empty or unrelated folder")):
        with pytest.raises(RunError, match=found):
            Run.open(path)
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(RunError, match="is a bundle, which only answers, and a run was expected"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        _ = Run.open(tmp_path).info


def test_free_run_path_counts_on(tmp_path: Path) -> None:
    assert free_run_path(tmp_path, "my photos!").name == "my-photos-1"
    (tmp_path / "my-photos-9").mkdir()
    (tmp_path / "my-photos-x").mkdir()
    assert free_run_path(tmp_path, "my photos!").name == "my-photos-10"


def test_history_and_looks_survive_a_torn_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_history([{"epoch": 1}, {"epoch": 2}])
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "tra')
    assert [row["epoch"] for row in run.history()] == [1, 2]
    assert [run.count_look("train"), run.count_look("evaluate")] == [1, 2]
    assert json.loads((tmp_path / "looks.jsonl").read_text().splitlines()[1])["verb"] == "evaluate"
