"""Fields and likes as figures."""

import numpy as np
import pytest
import torch

from foveal.errors import NetError
from foveal.explain.drawing import GRAY
from foveal.explain.drawn import draw_fields, draw_likes
from foveal.explain.field import effective_field, receptive_field
from foveal.explain.likes import likings
from foveal.explain.maximise import maximised
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract


def test_fields_and_likes_are_drawn():
    contract = InputContract(height=12, width=12, channels=1)
    net = build("3c3-mp2-2c2s2-5n", contract, ClassificationHead, outputs=3)
    pixels = torch.randint(0, 256, (4, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shape = 1, 12, 12
    fields = [receptive_field(net, "3c3", shape, 2, 4), effective_field(net, "2c2s2", pixels, 0, 1)]
    figure = draw_fields(pixels[0].permute(1, 2, 0).numpy(), fields)
    assert figure.axes[0].get_title() == "3c3: 3×3"
    assert figure.axes[0].title.get_color() == GRAY  # in the common style, to be read on a light and on a dark page
    assert figure.get_facecolor()[3] == 0
    assert figure.axes[1].get_title().startswith("2c2s2: 6×6\n95% in ")
    # The outline runs around pixels: from half a pixel before column 4 and row 2 to half a pixel after 6 and 4.
    ends = np.array(figure.axes[0].collections[0].get_segments())
    assert (len(ends), ends.min(axis=(0, 1)).tolist(), ends.max(axis=(0, 1)).tolist()) == (12, [3.5, 1.5], [6.5, 4.5])
    shown = figure.axes[0].images[0].get_array()
    assert shown[2, 4].tolist() == [int(pixels[0, 0, 2, 4])] * 3
    found = likings(net, "3c3", [(list("abcd"), pixels)], [0, 2], top=2)
    rows = draw_likes(found, maximised(net, "3c3", shape, [2], steps=1))
    assert len(rows.axes) == 2 * 3
    assert rows.axes[0].yaxis.label.get_color() == rows.axes[0].title.get_color() == GRAY
    assert [len(axes.images) for axes in rows.axes] == [0, 1, 1, 1, 1, 1]
    with pytest.raises(NetError, match="fields to draw, found none"):
        draw_fields(pixels[0].permute(1, 2, 0).numpy(), [])
    with pytest.raises(NetError, match="patches that channels like, found none"):
        draw_likes([])
