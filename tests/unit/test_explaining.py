"""Pages that look inside a run: for every task, of an image and of the network, and what is said when they fail."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.api.explaining import explain, explain_network
from foveal.api.inside import grouped
from foveal.cli import main
from foveal.engine.predictor import TorchNetwork
from foveal.errors import FovealError, RecipeError, RunError
from foveal.explain import places
from foveal.run import Run

MakeFolder = Callable[..., Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Learnt to tell dark from light, with a layer of every kind that a page shows."""
    root = tmp_path_factory.mktemp("explained")
    rng = np.random.default_rng(0)
    for label, level in {"dark": 50, "light": 200}.items():
        (root / "photos" / label).mkdir(parents=True)
        for i in range(24):
            pixels = np.clip(rng.normal(level, 20, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{i:02}.png")
    settings = {"epochs": 2, "batch_size": 8, "translate": 0, "flip": False}
    net = "8c3same:none-bn:relu-mp2-8c3same-do0.5-8n"
    return foveal.train(root / "photos", out=root / "run", net=net, seed=1, **settings)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "light.png"
    Image.fromarray(np.full((12, 12, 3), 210, np.uint8)).save(path)
    return path


def test_a_page_an_image_and_the_json_beside_it(trained: Run, image: Path, tmp_path: Path) -> None:
    (found,) = explain(trained, image, out=tmp_path / "pages")
    told = json.loads(json.dumps(found.as_dict()))
    assert set(told) == {"file", "prediction", "maps", "page"}
    assert told["prediction"] == foveal.load(trained)(image).as_dict()
    assert [one["method"] for one in told["maps"]] == ["grad-cam", "integrated-gradients", "occlusion"]
    assert all({"method", "target", "passed", "tests"} <= set(one) for one in told["maps"])
    assert {one["target"]["name"] for one in told["maps"]} == {told["prediction"]["label"]}
    page = Path(told["page"]).read_text()
    assert "://" not in page.replace("http://www.w3.org", ""), "the page loads nothing from outside"
    assert "<script" not in page
    for title in ("8c3same:none-bn:relu", "mp2", "8c3same", "8n"):
        assert f"<h3>{title}</h3>" in page
    for words in (
        "The 8 feature maps",
        "numbers that won",
        "Channel ",
        "units are dead",
        "With dropout at work",
        "× kernel",
    ):
        assert words in page, words


def test_pages_are_numbered_and_never_overwritten(trained: Run, image: Path, tmp_path: Path) -> None:
    pages = [next(explain(trained, image, methods=["occlusion"], out=tmp_path)).page for _ in range(2)]
    assert [page.name for page in pages if page] == ["light.html", "light-2.html"]


def test_what_takes_long_says_how_far_it_is(trained: Run, image: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    list(
        explain(trained, image, methods=["occlusion", "grad-cam"], out=tmp_path, progress=lambda *one: told.append(one))
    )
    maps = [one for one in told if one[0].startswith("map")]
    assert maps == [("map and tests of occlusion", 0, 2), ("map and tests of grad-cam", 1, 2)]
    layers = [one[1:] for one in told if one[0] == "drawing layers"]
    assert layers == [(done, len(layers)) for done in range(len(layers))] != []
    assert told[-1] == ("explaining", 1, 1)


def test_the_other_label_can_be_asked_for(trained: Run, image: Path, tmp_path: Path) -> None:
    (found,) = explain(trained, image, target="dark", methods=["grad-cam"], out=tmp_path)
    assert [one.attribution.chosen.name for one in found.maps] == ["dark"]
    assert found.page
    page = found.page.read_text()
    assert "Explained here: dark" in page
    assert "<h2>What speaks for dark</h2>" in page
    assert "Purple speaks for dark, orange against" in page
    (found,) = explain(trained, image, target="light", methods=["grad-cam"], out=tmp_path)
    assert found.page
    page = found.page.read_text()
    assert "Explained here" not in page, "light is the answer"
    assert "<h2>Why this answer</h2>" in page
    with pytest.raises(RecipeError, match=r"what the network knows \(dark, light\) as the target, found 'cat'"):
        explain(trained, image, target="cat")


def test_what_the_network_does_not_see_is_told(trained: Run, image: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((12, 30, 3), 210, np.uint8)).save(tmp_path / "wide.png")
    square, wide = explain(trained, [image, tmp_path / "wide.png"], methods=["occlusion"], out=tmp_path / "pages")
    assert square.page
    assert wide.page
    assert "does not see" not in square.page.read_text()
    assert "What is plain gray in the maps below it does not see." in wide.page.read_text()


def test_what_cannot_be_explained_is_told_and_the_rest_goes_on(trained: Run, image: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    broken, fine = explain(trained, [tmp_path / "broken.png", image], methods=["occlusion"], out=tmp_path / "pages")
    assert set(broken.as_dict()) == {"file", "error"}
    assert fine.error is None
    with pytest.raises(RecipeError, match="Expected a network that finds boxes for --box, found one of classification"):
        explain(trained, image, box=1)
    with pytest.raises(RecipeError, match=r"Expected a method .*, found 'lime'"):
        explain(trained, image, methods=["lime"])
    with pytest.raises(RunError, match="Expected a folder for the pages, found a file"):
        explain(trained, image, out=image)


def test_without_the_images_of_the_run_the_page_says_so(trained: Run, image: Path, tmp_path: Path) -> None:
    photos = Path(trained.info["source"])
    hidden = photos.rename(photos.with_name("hidden"))
    try:
        (found,) = explain(trained, image, methods=["occlusion"], out=tmp_path)
    finally:
        hidden.rename(photos)
    assert found.page
    assert "Other images of the run cannot be shown" in found.page.read_text()


def test_the_network_by_itself(trained: Run, tmp_path: Path) -> None:
    page = explain_network(trained, out=tmp_path).read_text()
    assert "What convolution buys" in page
    assert "When the image moves" in page
    # 8 filters of 3×3×3 and no bias, beside 12·12·8 numbers that each see all 12·12·3.
    assert f">{8 * 27:,}<" in page
    assert f">{12 * 12 * 8 * 12 * 12 * 3:,}<" in page


def test_layers_are_grouped_as_a_person_counts_them(trained: Run) -> None:
    answering = foveal.load(trained).network
    assert isinstance(answering, TorchNetwork)
    network = answering.module
    groups = grouped(places(network, torch.zeros(1, 3, 12, 12)))
    body = [group.title for group in groups if not group.work.path.startswith("head")]
    assert body == ["8c3same:none-bn:relu", "mp2", "8c3same", "do0.5", "flatten", "8n"]


def test_the_module_is_the_verb(trained: Run, image: Path, tmp_path: Path) -> None:
    (found,) = foveal.explain(trained, image, methods=["occlusion"], out=tmp_path)
    assert found.page is not None
    predictor = foveal.load(trained)
    assert isinstance(predictor.network, TorchNetwork)
    sums = foveal.explain.arithmetic(predictor.network.module, torch.full((1, 3, 12, 12), 210), "8n", (0,))
    assert sums.agrees


def test_the_command(trained: Run, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["explain", *map(str, arguments)])
        return int(left.value.code or 0), capsys.readouterr().out

    code, out = run(trained.path, image, "--out", tmp_path, "--method", "occlusion", "--json")
    assert code == 0
    assert json.loads(out)["page"] == str(tmp_path / "light.html")
    code, out = run(trained.path, image, tmp_path / "light.html", "--out", tmp_path, "--method", "occlusion")
    assert code == 1
    assert "occlusion" in out
    assert "maps for light:" in out
    assert "light-2.html" in out
    assert run(trained.path, "--target", "dark")[0] == 2


def test_no_finished_run(tmp_path: Path, image: Path) -> None:
    with pytest.raises(FovealError, match="Expected a run"):
        explain(tmp_path, image)
