"""What Tab completes."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from foveal.cli.commands import app
from foveal.cli.completing import columns_of, labels_of


def offered(command: str, option: str, incomplete: str, **given: str) -> list[str]:
    verb = typer.main.get_command(app).commands[command]  # pyright: ignore[reportAttributeAccessIssue]
    context = typer.Context(verb, info_name=command)
    for name, value in given.items():
        context.params[name] = value
    wanted = next(each for each in verb.params if option in each.opts)
    return [item.value for item in wanted.shell_complete(context, incomplete)]


def typed(line: str) -> list[str]:
    """What a shell is told where Tab comes at the end of the line."""
    words = {"_FOVEAL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return CliRunner().invoke(app, env=words, prog_name="foveal").stdout.split()


@pytest.fixture
def run(tmp_path: Path) -> str:
    (tmp_path / "run.json").write_text(json.dumps({"labels": ["cat", "cow", "dog"]}))
    return str(tmp_path)


def test_labels_of_the_run_that_the_line_names(run: str) -> None:
    assert offered("explain", "--target", "c", run=run) == ["cat", "cow"]
    assert offered("evaluate", "--cost", "dog", run=run) == ["dog:", "dog:missed=", "dog:false="]
    assert offered("evaluate", "--cost", "a", run=run) == ["abstain="]
    assert "cat:sensitivity=" in offered("evaluate", "--at", "cat", run=run)


def test_in_a_shell(run: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,age,agent\n")
    assert typed(f"foveal explain {run} cow.jpg --target c") == ["cat", "cow"]
    assert typed(f"foveal explain --target d {run} --method grad") == ["grad-cam"]
    assert typed(f"foveal train {tmp_path}/t.csv --target age --target ag") == ["age", "agent"]
    assert typed(f"foveal look --task regression {tmp_path}/t.csv --path-column p") == ["path"]
    assert typed("foveal train --target ag") == []
    assert typed("foveal evaluate runs/x --coverage n") == ["none"]


def test_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    for name in ("a/cat", "a/dog", "a/.hidden", "b/train/hat", "b/test/hat"):
        (tmp_path / name).mkdir(parents=True)
    assert offered("train", "--cost", "dog:m", source=str(tmp_path / "a")) == ["dog:missed="]
    assert labels_of(str(tmp_path / "a")) == ["cat", "dog"]
    assert labels_of(str(tmp_path / "b")) == ["hat"]


def test_columns_of_tables(tmp_path: Path) -> None:
    tables = {
        "comma.csv": 'path,"age, in years",agent\n1.png,3,x\n',
        "other.csv": "\n\ufeffpath;age;agent\n".replace("\n\ufeff", "\ufeff\n"),
        "tab.TSV": "path\tage\tagent\n",
        "lines.jsonl": '{"path": "1.png", "age": 3, "agent": "x"}\n{"other": 1}\n',
        "photos/metadata.csv": "file_name,age,agent\n",
        "hub/train/metadata.jsonl": '{"file_name": "1.png", "age": 1, "agent": 2}\n',
    }
    for name, text in tables.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert offered("train", "--target", "ag", source=str(tmp_path / "comma.csv")) == ["age, in years", "agent"]
    for place in ("other.csv", "tab.TSV", "lines.jsonl", "photos", "hub"):
        assert offered("look", "--target", "ag", source=str(tmp_path / place)) == ["age", "agent"]
    for option in ("--path-column", "--split-column", "--group-column"):
        assert offered("curve" if option != "--group-column" else "plan", option, "p", source=str(tmp_path / "tab.TSV"))
    pattern = r"^(?P<age>\d+)_(?P<gender>[01])_"
    assert offered("train", "--target", "", source=str(tmp_path), target_pattern=pattern) == ["age", "gender"]
    assert offered("train", "--target", "", source=str(tmp_path), target_pattern="(") == []


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "metadata.csv", "none.csv"])
@pytest.mark.parametrize("content", ["", '"', '"text"', "3", "[[", "\0\0"])
def test_tables_that_tell_nothing(tmp_path: Path, name: str, content: str) -> None:
    if name != "none.csv":
        (tmp_path / name).write_text(content)
    found = columns_of(str(tmp_path / name))
    assert found == [] if name.endswith((".jsonl", ".parquet")) else all(map(str.strip, found))
    assert columns_of("") == []


@pytest.mark.parametrize("content", ["", "[]", '{"labels": 3}'])
def test_what_is_not_at_hand_is_not_completed(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert labels_of(str(tmp_path)) == []
    assert labels_of(str(tmp_path / "nothing")) == []
    assert labels_of("") == []
