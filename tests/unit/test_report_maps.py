"""Numbers as pictures."""

import base64
import io

import numpy as np
from PIL import Image

from foveal.report.maps import colored, sheet_uri


def test_a_sheet_has_a_palette_and_the_colours_of_its_numbers() -> None:
    maps = np.stack([np.full((56, 56), value, np.float32) for value in (-2.0, 0.0, 1.0, 2.0)])
    maps[3, 0, 0] = np.nan
    picture = Image.open(io.BytesIO(base64.b64decode(sheet_uri(np.nan_to_num(maps, nan=2)).partition(",")[2])))
    assert (picture.mode, picture.size) == ("P", (4 * 56 + 3 * 3, 56))
    pixels = np.asarray(picture.convert("RGBA"))
    centres = pixels[28, [28 + 59 * k for k in range(4)]]
    assert centres[:, 3].tolist() == [255] * 4
    assert pixels[28, 57, 3] == 0  # between two maps the page is seen
    assert np.array_equal(centres[:, :3], colored(np.array([-2.0, 0.0, 1.0, 2.0]), 2.0))


def test_zero_is_nearly_white_and_what_is_no_number_gray() -> None:
    shades = colored(np.array([0.0, np.nan, 0.01, -9.0, 9.0]), 9.0).astype(int)
    assert shades[0].min() > 240
    assert np.ptp(shades[0]) < 3
    assert shades[1].tolist() == [128, 128, 128]
    assert abs(shades[2] - shades[0]).max() < 6  # no step that nobody asked for
    assert shades[4, 2] > shades[4, 1]
    assert shades[3, 0] > shades[3, 2]
