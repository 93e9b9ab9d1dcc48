"""What the benchmarks share: measuring a process, taking turns, noticing a busy machine, tables."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "common.py"


@pytest.fixture(scope="module")
def common() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_common", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_measure_takes_the_last_object_and_runs_in_an_empty_folder(
    common: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("TAKEN", "2")
    code = """if True:
        import json, os
        print('{"size": 0}')
        size = len(b"1" * 400_000_000)
        variables = [os.environ.get(name) for name in ("KEPT", "TAKEN", "ADDED")]
        print(json.dumps({"size": size, "there": os.listdir(), "variables": variables}))
        print("the end")
    """
    measured = common.measure(python(code), {"TAKEN": None, "ADDED": "3"})
    assert measured["result"] == {"size": 400_000_000, "there": [], "variables": ["1", None, "3"]}
    assert measured["memory"] > 400_000_000
    assert measured["others"] is None or measured["others"] >= 0


def test_a_failure_says_the_last_thing_said(common: ModuleType) -> None:
    with pytest.raises(common.Failed, match="exit code 1: ValueError: no a/b"):
        common.measure(python("raise ValueError('no a|b')"))
    with pytest.raises(common.Failed, match="exit code 0: it said nothing"):
        common.measure(python("print('no object')"))
    framed = "╭─ Error ─╮\n│ No such option: --a │\n╰─────────╯\n"
    assert common.last_line(framed) == "No such option: --a"


def test_turns_alternate_and_lose_nothing(common: ModuleType, tmp_path: Path) -> None:
    echo = python("import sys; print('{\"seed\": %s}' % sys.argv[1])")
    contestants = [common.Contestant("a", echo), common.Contestant("b", python("raise OSError('gone')"))]
    log = tmp_path / "log.jsonl"
    records = common.turns("one", contestants, (3, 4), log, epochs=2)
    assert [(record["contestant"], record["seed"]) for record in records] == [("a", 3), ("b", 3), ("a", 4), ("b", 4)]
    assert [record["result"] for record in records if "result" in record] == [{"seed": 3}, {"seed": 4}]
    assert [record["error"] for record in records if "error" in record] == ["exit code 1: OSError: gone"] * 2
    common.note({"benchmark": "two"}, log)
    assert common.logged(log, "one") == records
    assert all(record["epochs"] == 2 for record in records)


def test_busy_seconds_leave_waiting_out(common: ModuleType, tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  1 2 4 1000 1000 8 16 32 64 128\ncpu0 9 9 9 9 9 9 9 9 9 9\n")
    assert common.busy_seconds(stat) == 63 / os.sysconf("SC_CLK_TCK")
    assert common.busy_seconds(tmp_path / "none") is None


@pytest.mark.parametrize(("load", "count", "busy"), [(0.5, 2, False), (0.51, 2, True), (3.9, 16, False)])
def test_the_load_is_too_high_above_a_quarter(common: ModuleType, load: float, count: int, busy: bool) -> None:
    assert bool(common.load_warning(load, count)) == busy


def test_groups_medians_and_tables(common: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"who": "b", "s": 5}, {"who": "a", "s": 1}, {"who": "b", "s": 7}, {"who": "b", "s": 100}]
    groups = common.grouped(records, "who")
    assert list(groups) == [("b",), ("a",)]
    assert common.median(groups["b",], "s") == 7
    common.table("Times", ("who", "s"), [(name, str(len(group))) for (name,), group in groups.items()])
    assert capsys.readouterr().out == "\n## Times\n\n| who | s |\n| --- | --- |\n| b | 3 |\n| a | 1 |\n"
    assert common.load_shown([{"others": 0.1}, {"others": 0.32}]) == "0.32"
    assert common.load_shown([{"others": 0.1}, {"others": None}]) == "unknown"
