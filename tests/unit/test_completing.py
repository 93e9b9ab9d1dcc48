"""What Tab completes."""

import json
from pathlib import Path

import pytest
import typer

from foveal.cli.commands import app
from foveal.cli.completing import labels_of


def offered(command: str, option: str, incomplete: str, **given: str) -> list[str]:
    verb = typer.main.get_command(app).commands[command]  # pyright: ignore[reportAttributeAccessIssue]
    context = typer.Context(verb, info_name=command)
    for name, value in given.items():
        context.params[name] = value
    wanted = next(each for each in verb.params if option in each.opts)
    return [item.value for item in wanted.shell_complete(context, incomplete)]


@pytest.fixture
def run(tmp_path: Path) -> str:
    (tmp_path / "run.json").write_text(json.dumps({"labels": ["cat", "cow", "dog"]}))
    return str(tmp_path)


def test_labels_of_the_run_that_the_line_names(run: str) -> None:
    assert offered("explain", "--target", "c", run=run) == ["cat", "cow"]
    assert offered("evaluate", "--cost", "dog", run=run) == ["dog:", "dog:missed=", "dog:false="]
    assert offered("evaluate", "--cost", "a", run=run) == ["abstain="]
    assert "cat:sensitivity=" in offered("evaluate", "--at", "cat", run=run)


def test_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    for name in ("a/cat", "a/dog", "a/.hidden", "b/train/hat", "b/test/hat"):
        (tmp_path / name).mkdir(parents=True)
    assert offered("train", "--cost", "dog:m", source=str(tmp_path / "a")) == ["dog:missed="]
    assert labels_of(str(tmp_path / "a")) == ["cat", "dog"]
    assert labels_of(str(tmp_path / "b")) == ["hat"]


@pytest.mark.parametrize("content", ["", "[]", '{"labels": 3}'])
def test_what_is_not_at_hand_is_not_completed(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert labels_of(str(tmp_path)) == []
    assert labels_of(str(tmp_path / "nothing")) == []
    assert labels_of("") == []
