"""What looks unlike the rest of its set is found and named, and little else."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from copies import jpeg, photo
from foveal.data import look
from foveal.data.decisions import Decisions, propose
from foveal.data.far import FEWEST, OUTLIER, distances, far_from_others, offs, threshold
from foveal.data.findings import SHOWN
from foveal.data.seen import Seen, see
from foveal.data.traits import TRAITS, traits
from foveal.readers import ImageReader
from foveal.tasks import named_task
from foveal.types import Dataset, Finding
from memory import Memory

pytestmark = pytest.mark.usefixtures("empty_cache")
NAMES = [trait.name for trait in TRAITS]


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


RNG = np.random.default_rng(0)
PHOTOS = [jpeg(photo(seed, 48, 64)) for seed in range(160)]
STRANGERS = {
    "blank": png(np.full((48, 64, 3), 250, np.uint8)),
    "noise": png(RNG.integers(0, 256, (48, 64, 3)).astype(np.uint8)),
    "black": png(RNG.integers(0, 4, (48, 64, 3)).astype(np.uint8)),
    "tinted": png((np.asarray(photo(900, 48, 64)) * np.array([1.0, 0.3, 0.3])).astype(np.uint8)),
    "gray": png(np.asarray(photo(901, 48, 64).convert("L"))),
}
WORDS = {
    "blank": "less contrast (nearly one colour)",
    "noise": "more fine detail",
    "black": "darker (nearly black)",
    "tinted": "more red",
    "gray": "less colour (almost none)",
}


def seen_of(images: list[bytes]) -> list[Seen]:
    return [see(ImageReader(), image)[0] for image in images]


def outliers(dataset: Dataset) -> list[Finding]:
    return [finding for finding in dataset.findings if finding.kind == OUTLIER]


def photos(**more: bytes) -> Memory:
    """Every other one is called `1`."""
    images = {**{f"{k:03}": image for k, image in enumerate(PHOTOS)}, **more}
    return Memory({file: ("01"[k % 2], None, images[file]) for k, file in enumerate(sorted(images))})


def test_strangers_are_found_and_named() -> None:
    seen = seen_of([*PHOTOS, *STRANGERS.values()])
    found = {content: (score, told) for content, score, told in far_from_others(seen)}
    scores = [score for score, _ in found.values()]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 1
    for name, facts in zip(STRANGERS, seen[len(PHOTOS) :]):
        assert WORDS[name] in found[facts.content][1], name
    assert len(found) <= len(STRANGERS) + 1, "one in 300 of the others at most, on average"


def test_few_images_say_nothing() -> None:
    seen = seen_of([STRANGERS["blank"], *PHOTOS[: FEWEST - 1]])
    assert [content for content, *_ in far_from_others(seen)] == [seen[0].content]
    assert far_from_others(seen[:-1]) == far_from_others([*seen[:-1], seen[0]]) == far_from_others([]) == []


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(len(PHOTOS) + 2)))
def test_order_and_repeats_change_nothing(order: list[int]) -> None:
    seen = SEEN
    assert far_from_others([*(seen[k] for k in order), seen[order[0]]]) == far_from_others(seen)


SEEN = seen_of([*PHOTOS, STRANGERS["noise"], STRANGERS["blank"]])


@pytest.mark.parametrize("tail", ["normal", "lognormal", "cauchy"])
def test_chance_makes_few(tail: str) -> None:
    """Three are meant to be where they are many; the tails of few are known badly."""
    rng = np.random.default_rng(1)
    draw = {"normal": rng.normal, "lognormal": rng.lognormal, "cauchy": lambda size: rng.standard_cauchy(size)}[tail]
    for count, most in ((60, 1.5), (300, 4.0), (3000, 5.0)):
        away = [distances(offs(draw(size=(count, len(TRAITS))))) for _ in range(10)]
        assert np.mean([(one > threshold(one)).sum() for one in away]) <= most


def test_one_number_far_off_is_found_whatever_the_tail() -> None:
    values = np.random.default_rng(2).standard_t(3, size=(1000, len(TRAITS)))
    values[7, 3] = 200.0
    off = offs(values)
    away = distances(off)
    assert away[7] == away.max() > threshold(away)
    assert np.argmax(np.abs(off[7])) == 3


def test_spreads_are_those_of_the_set() -> None:
    """A standard normal trait is measured in its standard deviation, on both sides, and no trait below its `least`."""
    values = np.tile(np.random.default_rng(3).normal(size=(100_000, 1)), (1, len(TRAITS)))
    inside = np.abs(values) < 1
    assert np.abs(offs(values)[inside] - values[inside]).max() < 0.02
    assert np.median(offs(values)[values > 3] / values[values > 3]) == pytest.approx(1, abs=0.05)
    same = np.zeros((100, len(TRAITS)))
    same[0] = [trait.least for trait in TRAITS]
    assert offs(same)[0] == pytest.approx(1)


def test_images_that_are_all_alike_have_no_outliers() -> None:
    rng = np.random.default_rng(4)
    pages = [png((128 + rng.integers(-1, 2, (20, 20))).astype(np.uint8)) for _ in range(80)]
    assert far_from_others(seen_of(pages)) == []
    assert len(far_from_others(seen_of([*pages, png(np.full((20, 20), 30, np.uint8))]))) == 1


def test_traits_are_what_they_say() -> None:
    half = np.zeros((40, 40, 3), np.uint8)
    half[:, 20:] = 255
    found = dict(zip(NAMES, traits(half).tolist()))
    assert found["brightness"] == pytest.approx(0.5)
    assert found["contrast"] == pytest.approx(np.log(0.52))
    assert found["black"] == found["white"] == pytest.approx(0.5**0.5)
    assert found["tones"] == pytest.approx(1), "two tones: one bit"
    assert found["evenness"] == pytest.approx(1 - 40 / (2 * 40 * 39))
    assert found["detail"] == pytest.approx(np.log(0.003 + 40 / (2 * 40 * 39)))
    assert found["grain"] == pytest.approx(np.log(0.003 + 160 / (2 * 40 * 36)) - found["detail"])
    assert (found["red"], found["blue"]) == (0, 0)
    red = dict(zip(NAMES, traits(np.full((9, 9, 3), (200, 50, 0), np.uint8)).tolist()))
    assert red["red"] == pytest.approx(150 / 255)
    assert red["blue"] == pytest.approx(-50 / 255)
    assert red["colour"] == pytest.approx(np.log(0.01 + 200 / 255))
    assert red["colours"] == pytest.approx(np.log(0.01)), "one colour does not vary"


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (3, 2, 3), (65, 64, 1), (130, 7, 3)])
def test_traits_of_any_size(shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert traits(array).shape == (len(TRAITS),)
    assert np.isfinite(traits(array)).all()


def test_large_images_are_sampled() -> None:
    """Samples of a large image say what all of its pixels would, for what does not hang on the scale."""
    rows, columns = np.mgrid[:640, :960]
    wave = (128 + 100 * np.sin(rows / 100) * np.cos(columns / 80)).astype(np.uint8)
    large, small = traits(wave[..., None]), traits(wave[5::10, 7::15, None])
    assert large[:5] == pytest.approx(small[:5], abs=0.02)
    assert large[NAMES.index("detail")] < small[NAMES.index("detail")] - 1, "that of neighbours in the image itself"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_findings_are_remembered(task: str) -> None:
    source = photos(**STRANGERS)
    dataset = look(source, named_task(task))
    files = [finding.files[0] for finding in outliers(dataset)]
    assert set(STRANGERS) <= set(files)
    assert outliers(dataset)[0].as_dict()["score"] > outliers(dataset)[-1].as_dict()["score"] >= 1
    reads = len(source.reads)
    again = look(source, named_task(task))
    other = look(source, named_task("regression" if task == "classification" else "classification"))
    assert len(source.reads) == reads
    assert outliers(again) == outliers(other) == outliers(dataset)


def test_many_become_one_finding() -> None:
    """Of images with the same pixels all are told, wherever they lie."""
    copies = {f"copy{k}": STRANGERS["blank"] for k in range(SHOWN)}
    (finding,) = outliers(look(photos(**copies, noise=STRANGERS["noise"]), named_task("classification")))
    assert len(finding.files) == len(finding.facts["scores"]) == len(finding.facts["reasons"]) > SHOWN
    assert set(copies) <= set(finding.files)
    assert finding.message.startswith(f"{len(finding.files)} images unlike the rest, the farthest first: ")


def test_what_is_proposed_and_decided() -> None:
    source = photos(**STRANGERS)
    dataset = look(source, named_task("classification"))
    rows = {file: (action, reason) for file, action, _, reason in propose(dataset)}
    assert all(rows[name][0] == "exclude" and WORDS[name] in rows[name][1] for name in STRANGERS)
    decided = Decisions(b"decided", "moves.csv", {}, frozenset(["blank"]), {}, frozenset(["noise"]))
    left = look(source, named_task("classification"), decisions=decided)
    files = {finding.files[0] for finding in outliers(left)}
    assert {"black", "tinted", "gray"} <= files
    assert not files & {"blank", "noise"}
    assert {file: row for file, row in rows.items() if file in files}.keys() == files
