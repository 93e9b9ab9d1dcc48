"""Ctrl-C says in a line what it left, whenever it comes, and ends with 130."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from foveal.cli import main, show_training
from foveal.cli.stopping import stopped_with
from foveal.events import Event, Started

Stopped = Callable[..., str]
ANEW = "The same command starts anew."


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """The last line of stderr of a command that is interrupted where it calls a function."""
    monkeypatch.chdir(tmp_path)

    def run(where: str, *arguments: object, before: Callable[[], object] = lambda: None) -> str:
        def interrupted(*_: object, **__: object) -> None:
            before()
            raise KeyboardInterrupt

        monkeypatch.setattr(where, interrupted)
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        assert left.value.code == 130
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()[-1]

    return run


def test_what_is_left_is_found_when_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    pages: list[str] = []

    def interrupted() -> None:
        with stopped_with(lambda: f"{len(pages)} pages [written]."):
            pages.extend("ab")
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as end:
        interrupted()
    assert end.value.exit_code == 130
    assert capsys.readouterr().err == "Stopped. 2 pages [written].\n"


@pytest.mark.parametrize("module", ["typer", "foveal.cli.serving"])
def test_imports_end_quietly(module: str) -> None:
    """A signal in the middle of an import, before any verb is known."""
    code = f"""
import builtins, signal
kept = builtins.__import__
def loaded(name, *more):
    if name == {module!r}:
        signal.raise_signal(signal.SIGINT)
    return kept(name, *more)
builtins.__import__ = loaded
from foveal.cli import main
main(["train"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped before anything was done.\n")


def test_little_is_loaded_before_an_interrupt_is_heard() -> None:
    code = "import sys; import foveal.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"sys = __import__('sys'); sys.path[:] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"typing", "re", "pathlib", "signal", "contextlib", "typer", "rich"} & set(loaded)


@pytest.mark.parametrize(
    ("where", "command", "said"),
    [
        ("foveal.api.training", ["train", "digits"], f"Nothing was trained. {ANEW}"),
        ("foveal.api.begin_repeats", ["train", "digits", "--repeats", "2"], f"Nothing was trained. {ANEW}"),
        ("foveal.api.begin_curve", ["curve", "digits"], f"Nothing was trained. {ANEW}"),
        ("foveal.api.plan", ["plan", "digits"], f"Nothing was planned, and nothing written. {ANEW}"),
        ("foveal.api.look", ["look", "digits"], f"Nothing was written, and the images are as they were. {ANEW}"),
        ("foveal.api.resuming", ["resume", "run"], "It is as it was. The same command goes on with it."),
        ("foveal.api.evaluate", ["evaluate", "run"], f"No look at the test images was counted. {ANEW}"),
        (
            "foveal.cli.several.train_on_random_split",
            ["evaluate", "run", "--random-split"],
            "No look at the test images was counted. What was trained on a random split is kept; the same command goes "
            "on.",
        ),
        ("foveal.api.compare", ["compare", "run", "run"], f"No look at the test images was counted. {ANEW}"),
        ("foveal.api.explain", ["explain", "run", "a.jpg"], f"No page was written. {ANEW}"),
        ("foveal.api.explain_network", ["explain", "run"], f"No page was written. {ANEW}"),
        ("foveal.api.export", ["export", "run"], f"No bundle was written. {ANEW}"),
        ("foveal.server.launch.serve", ["serve", "run"], "It was not listening yet."),
        ("foveal.api.describe", ["describe"], ""),
    ],
)
def test_each_verb_early(stopped: Stopped, where: str, command: list[str], said: str) -> None:
    assert stopped(where, *command) == f"Stopped. {said}".rstrip()


def test_what_was_begun_is_gone_on_with(stopped: Stopped) -> None:
    def begun() -> None:
        Path("my run").mkdir()
        Path("my run/run.json").write_text("{}")

    said = stopped("foveal.api.training", "train", "digits", "--out", "my run", before=begun)
    assert said == "Stopped. Go on with: foveal resume 'my run'"


def write(file: str) -> None:
    path = Path("run", file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.is_file() else "") + "{}\n")


def test_evaluate_says_whether_the_look_was_counted(stopped: Stopped) -> None:
    write("looks.jsonl")
    write("report/report.json")
    again = "The same command measures anew, and counts one more look."
    said = stopped("foveal.api.evaluate", "evaluate", "run", before=lambda: write("looks.jsonl"))
    assert said == f"Stopped. The look at the test images was counted; the report is as it was. {again}"

    def measured() -> None:
        for file in ("settled.json", "looks.jsonl", "report/report.json"):
            write(file)

    said = stopped("foveal.api.evaluate", "evaluate", "run", "--at", "none", before=measured)
    assert said == (
        "Stopped. The run answers from now on as it was asked to. The look at the test images was counted; the numbers "
        f"are in run/report/report.json, but their page was not drawn. {again}"
    )
    said = stopped("foveal.api.compare", "compare", "run", "other", before=lambda: write("1/looks.jsonl"))
    assert said.startswith("Stopped. The look at the test images was counted. The same command compares anew")


def test_a_training_that_is_stopped_while_it_is_measured(stopped: Stopped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foveal.api.training", lambda *_, **__: None)
    monkeypatch.setattr(show_training, "training", lambda events: Path("run"))
    trained = "Stopped. The network is trained and saved. "
    said = stopped("foveal.api.report_of", "train", "digits")
    assert said == f"{trained}No look at the test images was counted. Go on with: foveal resume run"
    said = stopped("foveal.api.report_of", "train", "digits", before=lambda: write("looks.jsonl"))
    counted = f"{trained}The look at the test images was counted; "
    assert said == f"{counted}there is no report yet. Measure it with: foveal evaluate run, as one more look."


def events_of(run: Path, *interrupts: str, closed: list[bool]) -> Iterator[Event]:
    """A training that is interrupted before it begins, or twice in its first step."""
    try:
        if "early" in interrupts:
            signal.raise_signal(signal.SIGINT)
        yield Started(run, 10, 1, 5, 5, 100, "cpu", "fp32", 0, 0)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one stops at once")
    except GeneratorExit:
        closed.append(True)
        raise


@pytest.mark.parametrize(
    ("interrupts", "saved", "said"),
    [
        (["early"], [True], "Stopped, with everything saved."),
        ([], [], "Stopped, at once: what was learned since the last checkpoint is lost."),
    ],
)
def test_a_training_stops_between_two_steps_or_at_once(
    interrupts: list[str],
    saved: list[bool],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(show_training, "_introduce", lambda started: None)
    closed: list[bool] = []
    assert show_training.training(events_of(Path("my run"), *interrupts, closed=closed)) is None
    assert closed == saved
    assert capsys.readouterr().err == f"{said} Go on with: foveal resume 'my run'\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
