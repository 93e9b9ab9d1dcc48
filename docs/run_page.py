"""Run a page of the cookbook: its Python blocks in order, as one program, in a folder where its figures land.

`python docs/run_page.py docs/cookbook/01-convolution.md [FOLDER]`. A `text` block that follows a Python block is what
that block prints; where the two differ, the page is wrong.
"""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

__all__ = ["COOKBOOK", "PageError", "figures_of", "needs_real_images", "pages", "run_page"]

COOKBOOK = Path(__file__).parent / "cookbook"
NEEDS_REAL_IMAGES = "<!-- needs cifar10 -->"

FENCE = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"!\[([^]]+)\]\(figures/([\w-]+\.svg)\)")

# Grays and colours that can be read on a light and on a dark page; nothing in a file that changes from run to run.
STYLE = {
    "axes.edgecolor": "#808691",
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": "#808691",
    "axes.labelsize": 9,
    "axes.prop_cycle": matplotlib.cycler(
        color=["#4a8fc9", "#d9803f", "#57a66a", "#b56cb0", "#c9a227", "#c75b5b", "#808691"]
    ),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": "#808691",
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.size": 9,
    "image.cmap": "gray",
    "image.interpolation": "none",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "foveal",
    "text.color": "#808691",
    "xtick.color": "#808691",
    "xtick.labelsize": 8,
    "ytick.color": "#808691",
    "ytick.labelsize": 8,
}


class PageError(Exception):
    """A block of a page failed, or printed something else than the page says; names page and line."""


@dataclass(frozen=True, slots=True)
class Block:
    """A Python block of a page.

    Args:
        line: of its first line of code, from 1.
        printed: what the page says it prints; None where it says nothing.
    """

    code: str
    line: int
    printed: str | None


def pages() -> list[Path]:
    """The pages of the cookbook, in reading order."""
    return sorted(COOKBOOK.glob("[0-9]*.md"))


def needs_real_images(page: Path) -> bool:
    """Whether the page trains on CIFAR-10, which does not ship with Foveal."""
    return NEEDS_REAL_IMAGES in page.read_text(encoding="utf-8")


def figures_of(page: Path) -> dict[str, str]:
    """The figures a page shows: file name to alt text."""
    return {name: alt for alt, name in FIGURE.findall(page.read_text(encoding="utf-8"))}


def run_page(page: Path, folder: Path) -> None:
    """Run every Python block of the page in one namespace, with `folder` as the working folder.

    Raises:
        PageError: a block failed, or printed something else than the page says.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = _blocks(page.read_text(encoding="utf-8"))  # before the folder changes: the path may be relative
    with chdir(folder), _style():
        for block in blocks:
            printed = _run(page, block, namespace)
            if block.printed is not None and _lines(printed) != _lines(block.printed):
                raise PageError(f"{page.name}:{block.line}: the page says\n{block.printed}\nbut it prints\n{printed}")


def _run(page: Path, block: Block, namespace: dict[str, Any]) -> str:
    """What the block prints."""
    # Empty lines in front give each error and traceback the page's own line number.
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
    with redirect_stdout(io.StringIO()) as output:
        try:
            exec(code, namespace)
        except Exception as error:
            trace, line = error.__traceback__, block.line
            while trace is not None:
                if trace.tb_frame.f_code.co_filename == str(page):
                    line = trace.tb_lineno
                trace = trace.tb_next
            raise PageError(f"{page.name}:{line}: {type(error).__name__}: {error}") from error
    return output.getvalue()


def _blocks(text: str) -> list[Block]:
    fences = [(match[1], match[2], match.start(), match.end()) for match in FENCE.finditer(text)]
    blocks = []
    for (kind, code, start, end), following in zip(fences, [*fences[1:], None], strict=True):
        if kind == "python":
            answered = following and following[0] == "text" and not text[end : following[2]].strip()
            blocks.append(Block(code, text.count("\n", 0, start) + 2, following[1] if answered and following else None))
    return blocks


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


@contextmanager
def _style() -> Iterator[None]:
    # matplotlib writes the date into an SVG; this variable is its way to hold it still.
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    try:
        with matplotlib.rc_context(STYLE):
            yield
    finally:
        os.environ.pop("SOURCE_DATE_EPOCH")
        if before is not None:
            os.environ["SOURCE_DATE_EPOCH"] = before


if __name__ == "__main__":
    run_page(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "."))
