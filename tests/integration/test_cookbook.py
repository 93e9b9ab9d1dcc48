"""Every page of the cookbook runs from top to bottom, prints what it says, and draws the figures it shows."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
MAX_BYTES = 150_000


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


runner = _module("run_page")
PAGES: list[Path] = runner.pages()
SMALL = [page for page in PAGES if not runner.needs_real_images(page)]
REAL = [page for page in PAGES if runner.needs_real_images(page)]


@pytest.mark.parametrize("page", SMALL, ids=lambda page: page.stem)
def test_page_runs(page: Path, tmp_path: Path) -> None:
    runner.run_page(page, tmp_path)
    _check_figures(page, tmp_path)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("page", REAL, ids=lambda page: page.stem)
def test_page_on_real_images_runs(page: Path, tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHS", "1")
    runner.run_page(page, tmp_path)
    _check_figures(page, tmp_path)


def _check_figures(page: Path, folder: Path) -> None:
    figures = runner.figures_of(page)
    assert figures
    for name, alt in figures.items():
        drawn = (folder / name).read_text(encoding="utf-8")
        assert drawn.endswith("</svg>\n")
        assert len(drawn.encode()) < MAX_BYTES
        assert "<dc:date>" not in drawn or "1970-01-01" in drawn, "a date changes the file on every run"
        assert len(alt) > 40
        assert (DOCS / "cookbook" / "figures" / name).is_file()


def test_every_idea_has_its_page() -> None:
    names = {page.stem.split("-", 1)[1] for page in PAGES}
    assert names == {
        "convolution",
        "activations",
        "pooling",
        "flatten-and-dense",
        "dropout",
        "typical-architecture",
        "worked-example",
        "validation-split",
        "local-connectivity",
        "parameter-sharing",
        "translation-invariance",
        "your-own-picture",
    }
    contents = (DOCS / "cookbook" / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES] == [line.split("](")[1].split(")")[0] for line in _entries(contents)]


def _entries(contents: str) -> Iterator[str]:
    return (line for line in contents.splitlines() if line[:1].isdigit())


@pytest.mark.parametrize(
    ("blocks", "line", "said"),
    [
        ("```python\nx = 1\n```\n\ntext\n\n```python\nx = 2\n\nx / 0\n```\n", 10, "ZeroDivisionError"),
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", 2, "but it prints\n2"),
    ],
)
def test_a_wrong_page_names_its_line(blocks: str, line: int, said: str, tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text(blocks)
    with pytest.raises(runner.PageError, match=rf"wrong\.md:{line}: ") as error:
        runner.run_page(page, tmp_path)
    assert said in str(error.value)


def test_a_page_and_its_folder_may_be_given_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "page.md").write_text('```python\nopen("figure.svg", "w").close()\n```\n')
    monkeypatch.chdir(tmp_path)
    runner.run_page(Path("page.md"), Path("made"))
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["figure.svg"]
