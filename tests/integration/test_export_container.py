"""`export --to docker`: a folder that a container is built from."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import foveal
from foveal.cli import main
from foveal.server.places import places_of
from foveal.ship.container import container_files


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
    assert (place / "compose.yaml").read_text().startswith("# openssl rand -hex 32 > token && docker compose up")
    assert places_of([str(place / "bundle")]) == {"docker": place / "bundle"}
    with pytest.raises(SystemExit):
        main(["export", str(run.path), "--to", "docker"])
    assert "already there" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", str(run.path), "--to", "docker", "--out", str(tmp_path / "box")])
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'box' / 'compose.yaml'} begins with how to start it\n")


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
