import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import foveal
from foveal.errors import NetError
from foveal.nets import Conv, Dense, describe, parse_input
from foveal.nets.describe_module import describe_module
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract

COOKBOOK = [
    # token, shape, parameters, FLOPs, receptive field, as a dense layer
    ("input", (32, 32, 3), 0, 0, (1, 1), None),
    ("32c3", (30, 30, 32), 896, 1_555_200, (3, 3), 3073 * 28_800),
    ("mp2", (15, 15, 32), 0, 0, (4, 4), None),
    ("64c3", (13, 13, 64), 18_496, 6_230_016, (8, 8), 7201 * 10_816),
    ("mp2", (6, 6, 64), 0, 0, (10, 10), None),
    ("128c3", (4, 4, 128), 73_856, 2_359_296, (18, 18), 2305 * 2048),
    ("(flat)", (2048,), 0, 0, (32, 32), None),
    ("128n", (128,), 262_272, 524_288, (32, 32), None),
    ("output", (10,), 1290, 2560, (32, 32), None),
]


def test_the_worked_example_layer_by_layer():
    found = describe("cookbook", (32, 32, 3))
    rows = [(r.token, r.shape, r.parameters, r.flops, r.receptive_field, r.dense_equivalent) for r in found.rows]
    assert rows == COOKBOOK
    assert found.parameters == 356_810
    assert found.flops == 10_671_360
    assert found.net == "32c3-mp2-64c3-mp2-128c3-128n"


def test_kinds_are_in_words():
    found = describe([Conv(4, activation="none"), Dense(3, "tanh")], (4, 6, 1), outputs=1, answer="linear")
    assert [row.kind for row in found.rows] == ["input", "convolution", "flatten", "dense, tanh", "dense, linear"]
    assert found.rows[1].shape == (2, 4, 4)
    assert found.rows[-1].parameters == 4


def test_whitening_costs_no_parameters():
    found = describe("w2-8c3same:none-mp2-bn:gelu-gmp", (32, 32, 3))
    rows = [
        (r.token, r.kind, r.shape, r.parameters, r.flops, r.receptive_field, r.dense_equivalent) for r in found.rows
    ]
    assert rows[1] == ("w2", "whitening, relu", (31, 31, 24), 0, 553_536, (2, 2), 3073 * 23_064)
    assert rows[2][3:5] == (24 * 9 * 8, 2 * 24 * 9 * 8 * 31 * 31)
    assert rows[5] == ("gmp", "global max pooling", (8,), 0, 0, (32, 32), None)
    assert found.parameters == 24 * 9 * 8 + 2 * 8 + 10 * 9


def test_a_residual_block_follows_its_body():
    rows = describe("r(4c3s2same-4c3same:none):relu-gap", (8, 8, 3)).rows
    assert [(row.token, row.depth, row.parameters) for row in rows[1:-1]] == [
        ("4c3s2same", 1, 112),
        ("4c3same:none", 1, 148),
        ("r(…):relu", 0, 12),
        ("gap", 0, 0),
    ]
    assert rows[3].kind == "residual sum, shortcut by a 1×1 convolution, stride 2×2, relu"


def test_as_json():
    found = json.loads(json.dumps(describe("4c3", (4, 4, 3), outputs=2).as_dict()))
    assert found["net"] == "4c3"
    assert found["input"] == [4, 4, 3]
    assert found["parameters"] == 112 + 34
    assert found["rows"][1] == {
        "token": "4c3",
        "kind": "convolution, relu",
        "shape": [2, 2, 4],
        "parameters": 112,
        "flops": 2 * 27 * 16,
        "receptive_field": [3, 3],
        "dense_equivalent": 49 * 16,
        "depth": 0,
    }


def test_inputs_are_height_width_channels():
    assert parse_input("28x30X1") == (28, 30, 1)
    for wrong in ("32x32", "0x32x3", "32x32x3x1", "ax2x3", "9999999x9x9", ""):
        with pytest.raises(NetError, match="32x32x3"):
            parse_input(wrong)


def test_describing_needs_no_torch():
    code = (
        "import sys, foveal.nets as nets\n"
        "print(nets.describe('cookbook', (32, 32, 3)).parameters, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["356810", "False"]


def test_a_module_is_described_as_the_same_line_is():
    contract = InputContract(height=32, width=32, channels=3)
    line = "8c3s2same-bn-mp2-16c(1x3)-gap-12n"
    module = build(line, contract, ClassificationHead, 10)
    found, expected = describe_module(module, (32, 32, 3)), describe(line, (32, 32, 3))
    assert (found.parameters, found.flops) == (expected.parameters, expected.flops)
    convolutions = [row for row in found.rows if row.kind == "Convolution"]
    assert [row.shape for row in convolutions] == [(16, 16, 8), (8, 6, 16)]
    assert [row.dense_equivalent for row in convolutions][1] == (8 * 8 * 8 + 1) * 8 * 6 * 16
    assert module.training


class Odd(nn.Module):
    """Shares a layer, holds a parameter of its own, groups channels, freezes a bias."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2, bias=False)
        self.grouped.bias.requires_grad_(False)

    def forward(self, images):
        return self.up(self.grouped(self.grouped(images))) * self.scale[0]


def test_a_module_with_shared_and_loose_parameters():
    found = describe_module(Odd(), (6, 6, 4))
    assert [(row.token, row.kind, row.shape, row.parameters, row.flops) for row in found.rows[1:]] == [
        ("grouped", "Conv2d", (6, 6, 4), 36, 2 * 9 * 144),
        ("grouped", "Conv2d", (6, 6, 4), 0, 2 * 9 * 144),
        ("up", "ConvTranspose2d", (12, 12, 2), 32, 2 * 4 * 2 * 144),
        ("", "other parameters", (), 5, 0),
    ]


def test_a_module_that_cannot_take_the_input_is_named():
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(NetError, match="Sequential cannot take a batch of 2×1×8×8"):
        describe_module(module, (8, 8, 1))
    assert not module[0]._forward_hooks


def test_a_run_and_a_bundle_are_described_by_their_network(tmp_path: Path) -> None:
    bundle = Path(__file__).parents[1] / "fixtures" / "bundles" / "1"
    manifest = json.loads((bundle / "bundle.json").read_text())
    found = foveal.describe(str(bundle))
    size = manifest["input"]
    alone = foveal.describe(
        manifest["recipe"]["net"],
        size=(size["height"], size["width"], size["channels"]),
        outputs=len(manifest["labels"]),
    )
    assert found == alone
    assert foveal.describe(bundle, size=(64, 64, size["channels"])).rows[0].shape[:2] == (64, 64)
