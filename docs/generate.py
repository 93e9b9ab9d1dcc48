"""Write what the documentation shows but nobody types: the reference pages and the cookbook's figures.

`python docs/generate.py` writes all of it; `--check` writes nothing and fails where a committed reference page is not
what would be written, or a figure is missing or shown nowhere. Pages that need CIFAR-10 train for minutes: their
figures are drawn only when asked for, with `python docs/generate.py --real`.
"""

import argparse
import inspect
import re
import shutil
import sys
import tempfile
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import BaseModel
from run_page import COOKBOOK, figures_of, needs_real_images, pages, run_page
from typer.models import ArgumentInfo, OptionInfo

import foveal
import foveal.api
from foveal.bundle import Agreement, Manifest
from foveal.bundle.folder import Graph, GraphValue
from foveal.cli.commands import app
from foveal.recipe import InputContract, Recipe
from foveal.recipes import RECIPES
from foveal.report import reference_page, studies_page

__all__ = ["main", "reference_pages", "wrong_figures"]

REFERENCE = Path(__file__).parent / "reference"
FIGURES = COOKBOOK / "figures"
WRITTEN = "<!-- Written by docs/generate.py; change the code, not this page. -->"

BUNDLE_PARTS: dict[str, type[BaseModel]] = {
    "`bundle.json`": Manifest,
    "`graph`": Graph,
    "A value of the graph": GraphValue,
    "`agreement`": Agreement,
}
BUNDLE = f"""\
# A bundle

`foveal export RUN` writes a folder that holds a trained network with all that its answers need:
[how to](../how-to/ship.md).

| file | what |
| --- | --- |
| `model.onnx` | the network in one file, nothing outside it: takes decoded images (uint8, N×H×W×C), gives raw \
outputs, probabilities and strangeness. Its metadata has labels, input, what was settled, recipe and the hash of the \
weights, as JSON under `foveal.labels` and so on |
| `model.xml`, `model.bin` | the same for OpenVINO (`--to openvino`), in place of `model.onnx` |
| `program.pt2` | the same for `torch.export`, without a pickle (`--to torch`); not there where torch cannot trace a \
module of your own |
| `whole.onnx` | with `--whole`: takes one image of any size, `image` (uint8, 1×H×W×C), and resizes it itself |
| `weights.safetensors` | the run's weights |
| `README.md` | a model card; yours to edit |
| `bundle.json` | everything else, as below; written last |

The folder appears with everything in it, or not at all. When it is loaded, hashes are checked, the files must be plain
files, and none may name others: ONNX tensors outside the file, links, safetensors headers that do not describe what
follows them, metadata that contradict `bundle.json` are refused. Nothing in a bundle is a pickle.

`foveal export --json` prints `bundle` (the folder), `kind`, `files` (name to bytes) and `agreement`, as below.

`version` rises when a field goes or changes its meaning. Every version that was ever written stays readable; one that
is newer than the Foveal at hand is refused with the `pip install` that mends it.

{WRITTEN}
"""

WORDS = {str: "TEXT", int: "N", float: "F", Path: "PATH"}


def main() -> int:
    """The exit status: 1 where `--check` found something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is out of date")
    parser.add_argument("--real", action="store_true", help="draw the figures that need CIFAR-10, too")
    arguments = parser.parse_args()
    if arguments.check:
        problems = [*_stale_pages(), *wrong_figures()]
        print("\n".join(problems) or "reference pages and figures are up to date", file=sys.stderr)
        return min(1, len(problems))
    for path, text in reference_pages().items():
        path.write_text(text, encoding="utf-8")
        print(path)
    for page in pages():
        if arguments.real or not needs_real_images(page):
            _draw(page)
    return 0


def reference_pages() -> dict[Path, str]:
    """Path to text of each page that is written from the code."""
    return {
        REFERENCE / "cli.md": _command_line(),
        REFERENCE / "python.md": _python(),
        REFERENCE / "recipe.md": _recipes(),
        REFERENCE / "report.md": reference_page(),
        REFERENCE / "comparison.md": studies_page(),
        REFERENCE / "bundle.md": _bundle(),
    }


def _python() -> str:
    """The public names, with signature and docstring."""
    names = sorted(foveal.__all__, key=lambda name: (inspect.isclass(getattr(foveal, name)), name.lower()))
    parts = [_object(name, getattr(foveal, name)) for name in names]
    intro = "Everything public is a name of `foveal`; the layers of a network are in `foveal.nets`."
    return "\n\n".join(["# Python", WRITTEN, intro, *parts]) + "\n"


def _object(name: str, thing: Any) -> str:
    shown = f"## {name}\n\n"
    if inspect.ismodule(thing):
        thing = getattr(foveal.api, name)  # a room that can be called as the verb
    if not inspect.isclass(thing):
        # As it is written: inspect.signature loses line breaks and the names of types.
        signature = re.match(r"def (.*?):\n    \"\"\"", inspect.getsource(thing), re.DOTALL)
        assert signature, name
        text = re.sub(r'(?<=[:>] )"([^"\n]+)"', r"\1", signature[1])
        shown += f"```python\n{text}\n```\n\n"
    return shown + _prose(inspect.getdoc(thing) or "")


def _prose(doc: str) -> str:
    """A docstring's sections as headings in bold and its arguments as a list."""
    doc = re.sub(r"^(Args|Attributes|Raises|Yields):$", r"**\1**\n", doc, flags=re.MULTILINE)
    doc = re.sub(r"^ {4}(\w+): ", r"- `\1`: ", doc, flags=re.MULTILINE)
    return re.sub(r"^ {8}(?=\S)", "  ", doc, flags=re.MULTILINE)


def wrong_figures() -> list[str]:
    """Figures that a page shows and that are not there, and the other way round, one line each."""
    shown = {name for page in pages() for name in figures_of(page)}
    there = {path.name for path in FIGURES.glob("*.svg")}
    missing = [f"{FIGURES / name} is shown but not there: run docs/generate.py" for name in sorted(shown - there)]
    return missing + [f"{FIGURES / name} is shown on no page: delete it" for name in sorted(there - shown)]


def _stale_pages() -> list[str]:
    return [
        f"{path} is not what the code says: run docs/generate.py"
        for path, text in reference_pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def _draw(page: Path) -> None:
    """Run a page and keep its figures."""
    with tempfile.TemporaryDirectory() as folder:
        run_page(page, Path(folder))
        for name in figures_of(page):
            shutil.copyfile(Path(folder, name), FIGURES / name)
            print(FIGURES / name)


def _recipes() -> str:
    named = [f"| `{name}` | {_one_line(recipe)} |" for name, recipe in RECIPES.items()]
    return "\n".join(
        [
            "# Recipes\n",
            "A recipe holds everything that decides a result, besides the images. `foveal train` starts from a named",
            "recipe, fills in what depends on the images, and writes the whole of it to `recipe.json` in the run. Some",
            "fields have a flag of their own (`--epochs 30`); all can be set by name: `--set learning_rate=0.0005`, in",
            "Python `foveal.train(..., learning_rate=0.0005)`.\n",
            WRITTEN + "\n",
            "## Named recipes\n",
            "| name | is |",
            "| --- | --- |",
            *named,
            "\nA default below is that of the field; a named recipe may set another.\n",
            *_fields("Fields", Recipe),
            *_fields("Fields of `input`", InputContract),
        ]
    )


def _bundle() -> str:
    """The form of bundles."""
    parts = [BUNDLE, *(_meanings(title, model) for title, model in BUNDLE_PARTS.items())]
    return "\n".join(parts)


def _meanings(title: str, model: type[BaseModel]) -> str:
    rows = [f"| `{name}` | {field.description} |" for name, field in model.model_fields.items()]
    return "\n".join([f"## {title}\n", "| field | meaning |", "| --- | --- |", *rows, ""])


def _fields(title: str, model: type[BaseModel]) -> list[str]:
    schema = model.model_json_schema()
    rows = []
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else f"`{_shown(field.default)}`"
        allowed = _allowed(schema["properties"][name])
        rows.append(f"| `{name}` | {allowed} | {default} | {field.description} |")
    return [f"## {title}\n", "| field | allowed | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]


def _shown(default: object) -> str:
    """As `--set` takes it: JSON."""
    if isinstance(default, tuple):
        return f"[{', '.join(_shown(item) for item in default)}]"
    return "null" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}"


def _allowed(field: dict[str, Any]) -> str:
    """A JSON Schema type with its range, in words."""
    if "anyOf" in field:
        return " or ".join(_allowed(choice) for choice in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return "see below"
    if field["type"] == "array":
        parts = field.get("prefixItems")
        return f"({', '.join(map(_allowed, parts))})" if parts else f"list of {_allowed(field['items'])}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    ranges = [f"{sign} {_power(field[key])}" for key, sign in bounds.items() if key in field]
    return " ".join([field["type"].replace("null", "`null`"), ", ".join(ranges)]).strip()


def _power(number: float) -> str:
    return "2⁶³" if number == 2**63 else f"{number:,.10g}"


def _command_line() -> str:
    parts = [
        "# Command line\n",
        "Every command takes `--help`. Results go to stdout, everything else to stderr, so that `--json` can be piped.",
        "In a pipe or a file no line is broken and no name cut.",
        "Exit status: 0 done, 1 it failed, 2 wrong use, 130 interrupted. Ctrl-C ends every command with a line on\n"
        "stderr that says what is kept and how to go on; `evaluate` and `compare` say whether the look was counted.\n",
        WRITTEN + "\n",
    ]
    for command in app.registered_commands:
        callback = command.callback
        assert callback is not None
        parts += _command(command.name or callback.__name__, callback, command.epilog or "")
    return "\n".join(parts)


def _command(name: str, callback: Callable[..., Any], epilog: str) -> list[str]:
    arguments, options = [], []
    for parameter, (kind, info, default) in _parameters(callback).items():
        if isinstance(info, OptionInfo):
            options.append((_flag(parameter, kind, info), info.help, _default(default, info)))
        else:
            arguments.append((info.metavar or parameter.upper(), info.help, default))
    words = [word if default is inspect.Parameter.empty else f"[{word}]" for word, _, default in arguments]
    options_word = ["[OPTIONS]"] if options else []
    examples = re.findall(r"\[bold\](.+?)\[/bold\]", epilog)
    return [
        f"## foveal {name}\n",
        f"{_one_line(callback)}\n",
        "```sh",
        " ".join(["foveal", name, *options_word, *words]),
        "```\n",
        *_rows("argument", [(f"`{word}`", text, _default(default, None)) for word, text, default in arguments]),
        *_rows("option", [(f"`{flag}`", text, default) for flag, text, default in options]),
        *(["For example:\n", "```sh", *examples, "```\n"] if examples else []),
    ]


def _parameters(callback: Callable[..., Any]) -> dict[str, tuple[type, ArgumentInfo | OptionInfo, Any]]:
    """Name to plain type, what typer is told of it, and its default."""
    hints = typing.get_type_hints(callback, include_extras=True)
    parameters = {}
    for name, parameter in inspect.signature(callback).parameters.items():
        annotated, info = hints[name].__origin__, hints[name].__metadata__[0]
        plain = [kind for kind in typing.get_args(annotated) if kind is not NoneType] or [annotated]
        parameters[name] = (plain[0], info, parameter.default)
    return parameters


def _flag(name: str, kind: type, info: OptionInfo) -> str:
    # In Annotated[...] typer takes the first flag for a default.
    given = [text for text in (info.default, *(info.param_decls or ())) if isinstance(text, str)]
    flags = ", ".join(given or [f"--{name.replace('_', '-')}"])
    return flags if kind is bool else f"{flags} {info.metavar or WORDS[kind]}"


def _default(default: object, info: OptionInfo | None) -> str:
    if info is not None and isinstance(info.show_default, str):
        return info.show_default
    return "" if default is inspect.Parameter.empty or default in (None, False) else f"`{default}`"


def _rows(title: str, rows: Iterable[tuple[str, str | None, str]]) -> list[str]:
    lines = [f"| {name} | {text} | {default} |" for name, text, default in rows]
    return [f"| {title} | meaning | default |", "| --- | --- | --- |", *lines, ""] if lines else []


def _one_line(documented: Callable[..., Any]) -> str:
    """A docstring without its line breaks, up to its first section."""
    text = inspect.getdoc(documented) or ""
    return " ".join(re.split(r"\n\n(?:Args|Raises):", text)[0].split())


if __name__ == "__main__":
    raise SystemExit(main())
