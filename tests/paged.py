"""Pages of reports as a browser reads them."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from foveal.measured import Measurement
from foveal.report import Report, build_report, write_page
from foveal.tasks import TASKS

__all__ = ["HOSTILE", "Page", "of_task", "page_of"]

VOID = {"meta", "img", "br", "link", "wbr"}
HOSTILE = ["<script>alert(1)</script>", "\" onmouseover='alert(2)'", "$\\frac{1}$ & {{ 7 * 7 }}\n日本"]


class Page(HTMLParser):
    """Elements with their attributes, texts, and whether every element was closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def data_of(source: str, n: int, **targets: Any) -> dict[str, Any]:
    """What a report says of 2n images, of which n are the test."""
    return {
        "source": source,
        "images": 2 * n,
        **targets,
        "splits": {"train": n, "validation": 0, "test": n},
        "given": [],
        "sizes": {key: [8, 8] for key in ("smallest", "median", "largest")},
        "channels": 3,
        "modes": {"RGB": 2 * n},
        "findings": [],
        "fingerprint": "ab" * 32,
    }


def of_task(
    task: str, measurement: Measurement, names: list[str], settled: dict[str, Any], rows: Any = None, n: int = 200
) -> Report:
    values = {name: {"smallest": 1.0, "median": 2.0, "mean": 2.5, "largest": 9.0} for name in names}
    targets = {"labels": {}, "values": values} if measurement.points else {"labels": dict.fromkeys(names, n)}
    data = data_of("people", n, **targets)
    return build_report(
        measurement,
        task=TASKS[task],
        looks=1,
        recipe={"name": "default"},
        data=data,
        environment={},
        history=rows or [],
        settled=settled,
    )


def page_of(report: Report, folder: Path) -> Page:
    write_page(report, {}, folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))
