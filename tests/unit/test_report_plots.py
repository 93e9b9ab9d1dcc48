"""The pictures of a report stand where their numbers are."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foveal.report.plots import (
    ABOVE,
    BELOW,
    FROM_LEFT,
    FROM_TOP,
    LEFT,
    SIDE,
    boxes_svg,
    confusion_uri,
    curves_svg,
    picture_uri,
    precision_recall_svg,
    scatter_svg,
    thumbnail_uri,
    ticks,
)


def test_svg_takes_the_colour_of_the_text_and_carries_no_date() -> None:
    svg = curves_svg("loss", [(1, 2.0), (2, 1.0)], [(1, 2.5), (2, 1.5)], falling=True)
    assert svg.startswith("<svg viewBox=")
    assert "currentColor" in svg
    assert "<text" in svg
    assert "date" not in svg.lower()
    assert "background" not in svg


def test_curves_stand_where_their_numbers_are() -> None:
    svg = curves_svg("loss", [(1, 2.0), (2, 1.0)], [(1, 2.5), (2, 1.5)], falling=True)
    labels = {
        (float(x), float(y)): text for x, y, text in re.findall(r'<text x="([^"]+)" y="([^"]+)"[^>]*>([^<]+)', svg)
    }
    heights = {float(text): y - 4 for (x, y), text in labels.items() if x < LEFT}
    assert list(heights) == [0, 0.5, 1, 1.5, 2, 2.5]
    assert (heights[0], heights[2.5]) == (BELOW, ABOVE)
    epochs = {float(text): x for (x, y), text in labels.items() if y == BELOW + 16}
    assert list(epochs) == [0, 1, 2]
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([^"]+)" cy="([^"]+)" r="2"', svg)]
    assert dots == [(epochs[e], pytest.approx(heights[v], abs=0.1)) for e, v in [(1, 2), (2, 1), (1, 2.5), (2, 1.5)]]
    ring = re.findall(r'<circle cx="([^"]+)" cy="([^"]+)" r="6"', svg)
    assert [(float(x), float(y)) for x, y in ring] == [dots[-1]], "the lowest of validation"
    highest = curves_svg("accuracy", [], [(1, 0.5), (2, 0.4)], falling=False)
    assert re.findall(r'cx="([^"]+)" cy="[^"]+" r="6"', highest) == [f"{epochs[1]}"]
    assert "training</text>" not in highest


@given(
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.floats(0, 1e6, allow_subnormal=False).filter(lambda spread: not 0 < spread < 1e-3),
)
def test_ticks_are_few_and_hold_what_is_between_them(low: float, spread: float) -> None:
    found = ticks(low, low + spread)
    assert 2 <= len(found) <= 6
    step = found[1] - found[0]
    np.testing.assert_allclose(np.diff(found), step, rtol=1e-6)
    assert f"{step:.0e}"[0] in "125"
    assert found[0] - low <= 1e-6 * step
    assert low + spread - found[-1] <= 1e-6 * step
    assert spread == 0 or found[-1] - found[0] <= 5 * spread


def test_ticks_of_epochs_are_whole() -> None:
    assert ticks(0, 1, smallest=1) == [0, 1]
    assert ticks(0, 12, smallest=1) == [0, 5, 10, 15]
    assert ticks(0, 0) == [0, 0.1]


def png(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_thumbnails_keep_their_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(png(thumbnail_uri(image)), image)
    np.testing.assert_array_equal(png(thumbnail_uri(image[..., :1])), image[..., 0])
    large = thumbnail_uri(np.zeros((400, 100, 3), np.uint8))  # a photograph's single pixels do not count
    photo = Image.open(io.BytesIO(base64.b64decode(large.removeprefix("data:image/jpeg;base64,"))))
    assert (photo.format, photo.size) == ("JPEG", (32, 128))


def test_heat_map_is_blue_on_the_diagonal_and_as_strong_as_the_root_of_the_share() -> None:
    pixels = png(confusion_uri(np.array([[0.75, 0.25], [0.0, 1.0]])))
    assert pixels[..., 3].tolist() == [[221, 128], [0, 255]]
    assert pixels[0, 0, 2] > pixels[0, 0, 0]
    assert pixels[0, 1, 0] > pixels[0, 1, 2]


def test_precision_stands_over_its_recall() -> None:
    svg = precision_recall_svg("a <b>", [1.0] * 51 + [0.5] * 25, (0.6, 0.5))
    assert "of a &lt;b&gt;, at" in svg
    assert "<b>" not in svg
    (line,) = re.findall(r'd="M([^"]+)" fill="none" stroke="#', svg)
    places = [tuple(map(float, place.split())) for place in line.split("L")]
    assert len(places) == 76
    assert (places[0], places[50]) == ((FROM_LEFT, FROM_TOP), (FROM_LEFT + SIDE / 2, FROM_TOP))
    assert places[75] == (FROM_LEFT + 0.75 * SIDE, FROM_TOP + SIDE / 2)
    ((x, y),) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert (float(x), float(y)) == (pytest.approx(FROM_LEFT + 0.6 * SIDE, abs=0.05), FROM_TOP + SIDE / 2)
    assert "<circle" not in precision_recall_svg("a", [], None)


def test_boxes_lie_where_their_shares_are() -> None:
    drawn = [([0.25, 0.5, 0.75, 1.0], "a <b>", "missed"), ([0.0, 0.0, 0.1, 0.1], "a label of many letters", "false")]
    svg = boxes_svg([*drawn, ([0.0, 0.0, 1.0, 1.0], "c", "right")], 0.5, named=True)
    assert svg.startswith('<svg viewBox="0 0 400 200.0"')
    places = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" fill="none" stroke="#fff"', svg
    )
    assert [tuple(map(float, place)) for place in places] == [(100, 100, 200, 100), (0, 0, 40, 20), (0, 0, 400, 200)]
    assert "<title>a &lt;b&gt;, missed</title>" in svg
    assert re.findall(r"<text[^>]*>([^<]+)", svg) == ["a &lt;b&gt;", "a label of ma…"]
    assert "<text" not in boxes_svg(drawn, 0.5, named=False)


def test_pictures_below_boxes_are_whole_and_larger() -> None:
    uri = picture_uri(np.full((300, 900, 1), 90, np.uint8))
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert picture.size == (400, 133)
    np.testing.assert_allclose(np.asarray(picture), 90, atol=2)


def test_dots_stand_where_their_numbers_are() -> None:
    svg = scatter_svg("a <b>", [0.0, 10.0, 5.0], [0.0, 5.0, 10.0], 2.0)
    assert "a &lt;b&gt; of 3 test images" in svg
    assert "<b>" not in svg
    dots = re.findall(r"M([\d.]+) ([\d.]+)h0", svg)
    across, up = ([float(pair[k]) for pair in dots] for k in (0, 1))
    assert across == [FROM_LEFT, FROM_LEFT + SIDE, FROM_LEFT + SIDE / 2]
    assert up == [FROM_TOP + SIDE, FROM_TOP + SIDE / 2, FROM_TOP]
    (band,) = re.findall(r'd="M([^"]+)Z"', svg)
    corners = [tuple(map(float, corner.split())) for corner in band.split("L")]
    for x, y in corners:
        true, said = (x - FROM_LEFT) / SIDE * 10, (FROM_TOP + SIDE - y) / SIDE * 10
        assert abs(true - said) <= 2.01
    assert len(corners) == 6
    assert 'Z"' not in scatter_svg("a", [0.0, 10.0], [0.0, 5.0], None)
    assert "nan" not in scatter_svg("a", [3.0], [3.0], 100.0)
