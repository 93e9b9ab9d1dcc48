"""`export --to docker`: a folder that a container is built from."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import foveal
from foveal.cli import main
from foveal.server.places import places_of
from foveal.ship.container import container_files

HINT = "Is it in no package index? pip wheel --no-deps -w wheels CHECKOUT"


def test_a_run_becomes_a_folder_to_build_from(image_folder: Any, tmp_path: Path, capsys: Any) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 8, "translate": 0, "flip": False}
    run = foveal.train(image_folder({"dark": 20, "light": 20}), out=tmp_path / "run 1", net="4c3-gap", **settings)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run.path), "--to", "docker", "--json"])
    assert not ended.value.code
    place = run.path / "docker"
    assert json.loads(capsys.readouterr().out)["bundle"] == str(place / "bundle")
    assert sorted(path.name for path in place.iterdir()) == [
        ".dockerignore",
        "Dockerfile",
        "bundle",
        "compose.yaml",
        "wheels",
    ]
    assert "COPY bundle /run-1\n" in (place / "Dockerfile").read_text()
    assert (place / "compose.yaml").read_text().startswith("# pip wheel --no-deps -w wheels CHECKOUT ")
    assert places_of([str(place / "bundle")]) == {"docker": place / "bundle"}
    with pytest.raises(SystemExit):
        main(["export", str(run.path), "--to", "docker"])
    assert "already there" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", str(run.path), "--to", "docker", "--out", str(tmp_path / "box")])
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'box' / 'compose.yaml'} begins with how to start it\n")


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="the steps of a Dockerfile are for sh")
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_foveal_comes_from_the_wheels_where_there_is_one(tmp_path: Path, there: bool, fails: bool) -> None:
    """The step that installs it, with a pip that notes what it is asked for."""
    files = container_files("photos-1", "1.2.3")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    wheel = tmp_path / "wheels" / "foveal-1.2.4-py3-none-any.whl"
    if there:
        wheel.touch()
    pip = tmp_path / "bin" / "pip"
    pip.parent.mkdir()
    pip.write_text(f'#!/bin/sh\necho "$@"\nexit {int(fails)}\n')
    pip.chmod(0o755)
    step = files["Dockerfile"].partition("\nRUN ")[2].partition("\nRUN ")[0].replace("/wheels", str(wheel.parent))
    done = subprocess.run(
        ["/bin/sh", "-c", step], env={"PATH": str(pip.parent)}, capture_output=True, text=True, timeout=30
    )
    what = str(wheel) if there else "foveal==1.2.3"
    assert done.stdout == f"install --no-cache-dir --find-links {wheel.parent} {what}\n"
    assert done.returncode == int(fails)
    assert done.stderr == f"Could not install {what}. {HINT}\n" * fails


def test_the_container_is_none_of_root_and_can_be_asked_for_its_health() -> None:
    files = container_files("photos-1", "1.2.3")
    lines = files["Dockerfile"].splitlines()
    assert lines.index("USER 10001") > next(k for k, line in enumerate(lines) if line.startswith("RUN"))
    assert "foveal==1.2.3" in files["Dockerfile"]
    assert "/readyz" in files["Dockerfile"]
    assert lines[-1] == 'CMD ["/photos-1"]'
    service = yaml.safe_load(files["compose.yaml"])["services"]["foveal"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert files[".dockerignore"] == "token\n", "no secret goes into an image"
