"""Backbones of timm in the line: shapes and costs without weights, frozen layers, seeded initial weights."""

import pytest
import torch

from foveal.errors import NetError
from foveal.nets import Backbone, describe, parse
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.recipe import InputContract

NAME = "test_efficientnet"
CONTRACT = InputContract(height=64, width=64, channels=3)


def network(net: str = f"timm/{NAME}-do0.2", seed: int = 0) -> Network:
    return build(net, CONTRACT, ClassificationHead, 4, seed=seed)


def test_a_line_may_begin_with_a_backbone() -> None:
    net = parse(f"TIMM/{NAME}-do0.2-16n")
    assert str(net) == f"timm/{NAME}-do0.2-16n"
    assert net[0] == Backbone(NAME)


def test_described_as_it_is_built() -> None:
    description = describe(f"timm/{NAME}-8n", (64, 64, 3), 4)
    built = network(f"timm/{NAME}-8n")
    assert description.parameters == sum(p.numel() for p in built.parameters())
    row = description.rows[1]
    assert (row.token, row.kind, row.receptive_field) == (f"timm/{NAME}", "backbone", (64, 64))
    assert built.body(torch.zeros(2, 3, 64, 64)).shape == (2, 8)
    assert row.flops > 1e5


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("timm/mobilenetv2_10", "timm/mobilenetv2_100"),
        (f"timm/{NAME}.no_such_tag", "Leave out the tag"),
        (f"8c3-timm/{NAME}", "must be the first layer"),
        (f"(timm/{NAME})x2", "must be the first layer"),
        (f"timm/{NAME}-8c3", "Put convolutions and pooling before"),
    ],
)
def test_what_cannot_be_is_named(line: str, told: str) -> None:
    with pytest.raises(NetError) as caught:
        network(line)
    assert told in str(caught.value)


def test_initial_weights_are_a_function_of_the_seed() -> None:
    before = torch.get_rng_state()
    first, again, other = network(), network(), network(seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters()))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters()))


def test_layers_are_numbered_from_the_input() -> None:
    body = network().backbone
    assert body is not None
    depths = {name: body.depths()[weight] for name, weight in body.net.named_parameters()}
    assert depths["conv_stem.weight"] == 0
    assert depths["conv_head.weight"] == max(depths.values())
    assert sorted(set(depths.values())) == list(range(max(depths.values()) + 1))


def test_frozen_layers_neither_learn_nor_follow_the_batches() -> None:
    body = network().backbone
    assert body is not None
    body.freeze(0.5)
    body.train()
    moved = {name: weight.requires_grad for name, weight in body.net.named_parameters()}
    assert not moved["conv_stem.weight"]
    assert moved["conv_head.weight"]
    state = {name: tensor.clone() for name, tensor in body.net.state_dict().items()}
    body(torch.randn(4, 3, 64, 64))
    changed = {name for name, tensor in body.net.state_dict().items() if not torch.equal(tensor, state[name])}
    assert changed
    assert not any(name.startswith(("conv_stem", "bn1")) for name in changed)
    body.freeze(1)
    assert not any(weight.requires_grad for weight in body.parameters())
    body.freeze(0)
    assert all(weight.requires_grad for weight in body.parameters())


def test_still_norms_keep_their_statistics() -> None:
    body = network().backbone
    assert body is not None
    body.still = True
    body.train()
    state = {name: tensor.clone() for name, tensor in body.net.state_dict().items()}
    body(torch.randn(4, 3, 64, 64))
    assert all(torch.equal(tensor, state[name]) for name, tensor in body.net.state_dict().items())
