"""Imports only go down the floors, rooms of one floor do not know each other, and serving never meets torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "foveal"
FLOORS = {
    "cli": 6,
    "server": 5,
    "api": 4,
    "tasks": 3,
    "engine": 3,
    "explain": 3,
    "ship": 3,
    "report": 3,
    "measure": 2,
    "data": 2,
    "nets": 2,
    "bundle": 2,
    "readers": 1,
    "answers": 1,
}
GROUND = {
    *("chosen", "errors", "events", "examples", "extras", "files", "looks", "measured", "phrasing", "recipe"),
    *("recipes", "run", "series", "suspicion", "task", "trust", "types", "wishes"),
}
TORCH_FREE = [
    "readers",
    "answers",
    "bundle",
    "bundle.runtime",
    "types",
    "errors",
    "events",
    "files",
    "looks",
    "measured",
    "recipe",
    "recipes",
    "run",
    "series",
    "task",
    "tasks",
    "api",
    "cli",
    "server",
    "server.launch",
    "server.worker",
]


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_of(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import with the full name"
            modules.add(node.module or "")
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "foveal" else set()
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    rooms -= {"__init__", "__main__", "__pycache__", "py"}
    assert rooms == set(FLOORS) | GROUND


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    mine = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if mine in ("__init__", "__main__"):
        return
    for module in imports_of(path):
        theirs = room(module) if module.split(".")[0] == "foveal" else ""
        if theirs and theirs != mine and not (mine in GROUND and theirs in GROUND):
            assert FLOORS.get(theirs, 0) < FLOORS.get(mine, 0), f"{mine} imports {module}"


@pytest.mark.parametrize("module", TORCH_FREE)
def test_no_torch(module: str) -> None:
    code = f"import foveal.{module}, sys; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


PICKLERS = {"pickle", "_pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "copyreg"}
UNPICKLES = {"torch.load", "torch.serialization.load", "torch.jit.load", "torch.hub.load", "torch.package"}
UNPICKLES |= {"np.lib.format.read_array", "numpy.lib.format.read_array", "__import__"}


def unpickling(source: str) -> set[str]:
    """What of a module's source could unpickle: names of modules, calls, and numpy reading without saying not to."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] in PICKLERS}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & UNPICKLES | ({node.module} & PICKLERS)
        elif isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in UNPICKLES:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            called = ast.unparse(node.func)
            if called in ("np.load", "numpy.load") and options.get("allow_pickle") != "False":
                found.add(called)
            if "weights_only" in options or options.get("allow_pickle", "False") != "False":
                found.add(called)
    return found


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "import pickle as p", "from pickle import loads", "import joblib.externals"),
        *("torch.load(f)", "f = torch.load", "from torch import load", "torch.load (f, weights_only=True)"),
        *("np.load(f)", "np.load(f, allow_pickle=maybe)", "read(f, weights_only=True)"),
        *("__import__('pickle')", "torch.hub.load('a', 'b')", "torch.jit.load(f)"),
    ],
)
def test_unpickling_is_seen(source: str) -> None:
    assert unpickling(source)


@pytest.mark.parametrize("source", ["json.load(f)", "np.load(f, allow_pickle=False)", "x.load(f)", "# torch.load(f)"])
def test_other_loading_is_not(source: str) -> None:
    assert not unpickling(source)


def test_nothing_is_pickled() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert not unpickling(path.read_text()), path


def test_public_names_resolve() -> None:
    import foveal

    assert len(foveal.__all__) <= 25
    assert all(getattr(foveal, name) is not None for name in foveal.__all__)
