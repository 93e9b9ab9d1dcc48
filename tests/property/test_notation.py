"""The notation for any network: what is written is read back, and what is described is what is built."""

import math
from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.errors import NetError
from foveal.nets import (
    ACTIVATIONS,
    AvgPool,
    BatchNorm,
    BlurPool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
    Net,
    Repeat,
    Residual,
    Whiten,
    describe,
    parse,
    walk,
)
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.nets.walk import each
from foveal.recipe import InputContract

# A deadline would measure the machine, not the code.
quick = settings(deadline=None)


def sizes(least, most):
    one = st.integers(least, most)
    return one | st.tuples(one, one)


activations = st.sampled_from(ACTIVATIONS)
pools = st.builds(
    lambda kind, kernel, stride, same: kind(kernel, stride, "same" if same else 0),
    st.sampled_from([MaxPool, AvgPool, BlurPool]),
    sizes(1, 3),
    st.none() | sizes(1, 3),
    st.booleans(),
)
convolutions = st.builds(
    Conv, st.integers(1, 4), sizes(1, 4), sizes(1, 3), st.just("same") | sizes(0, 2), activation=activations
)
whitening = st.builds(Whiten, st.integers(1, 4), st.integers(1, 3), activations)
leaves = st.one_of(
    convolutions,
    pools,
    st.builds(BatchNorm, activations),
    st.builds(Dropout, st.floats(0, 1, exclude_max=True)),
    st.builds(Dense, st.integers(1, 6), activations),
    st.builds(Flatten),
    st.builds(GlobalAvgPool),
    st.builds(GlobalMaxPool),
    whitening,
)
layers = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Residual, st.lists(inner, min_size=1, max_size=3), activations)
        | st.builds(Repeat, st.lists(inner, min_size=1, max_size=2), st.integers(1, 3))
    ),
    max_leaves=6,
)
nets = st.builds(Net, st.lists(layers, min_size=1, max_size=6))


def fitting(chosen: Iterable, shape: tuple[int, int, int]) -> Net:
    """Those of the layers that can follow one another from that shape."""
    kept: list = []
    for layer in chosen:
        try:
            walk(Net([*kept, layer]), shape)
        except NetError:
            continue
        kept.append(layer)
    return Net(kept or [Flatten()])


def spelled(text: str, spaces: bool) -> str:
    return text.upper().replace("-", " - ").replace("R(", " r( ") if spaces else text.upper()


@settings(quick)
@given(nets)
def test_what_is_written_is_read_back(net):
    assert parse(str(net)) == net


@settings(quick)
@given(nets, st.booleans())
def test_capitals_and_spaces_change_nothing(net, spaces):
    assert parse(spelled(str(net), spaces)) == net


@settings(quick)
@given(st.text(alphabet="0123456789cmpabsgnfltrxdow.:-() ×–", max_size=40) | st.text(max_size=20))
def test_any_text_is_a_net_or_a_net_error(text):
    try:
        net = parse(text)
    except NetError:
        return
    assert parse(str(net)) == net


@settings(quick)
@given(nets, st.data())
def test_an_error_points_at_the_token_that_was_broken(net, data):
    tokens = str(net).split("-")
    plain = [place for place, token in enumerate(tokens) if not set(token) & set("()")]
    place = data.draw(st.sampled_from(plain or [0]))
    tokens = tokens if plain else [""]
    tokens[place] = "32q3"
    with pytest.raises(NetError) as raised:
        parse("-".join(tokens))
    assert f"32q3 (token {place + 1})" in raised.value.message
    line, carets = raised.value.message.splitlines()[1:]
    assert line[carets.index("^") : carets.rindex("^") + 1] == "32q3"


@settings(quick, max_examples=60)
@given(
    st.lists(layers, min_size=1, max_size=6),
    st.integers(1, 11),
    st.integers(1, 11),
    st.sampled_from([1, 3]),
    st.lists(whitening, max_size=1),
)
def test_what_is_described_is_what_is_built(chosen, height, width, channels, first):
    shape = (channels, height, width)
    net = fitting([*first, *chosen], shape)
    network = build(net, InputContract(height=height, width=width, channels=channels), ClassificationHead, 3).eval()
    seen = {}
    for number, built in enumerate(network.steps):
        built.module.register_forward_hook(lambda m, i, output, number=number: seen.update({number: output}))
    outputs = network(torch.randint(0, 256, (2, *shape), dtype=torch.uint8))

    steps = [step for _, step in each(walk(net, shape))]
    assert [built.step for built in network.steps] == steps
    assert [tuple(seen[number].shape) for number in range(len(steps))] == [(2, *step.after) for step in steps]
    assert all(torch.isfinite(output).all() for output in seen.values())
    assert outputs.shape == (2, 3)
    described = describe(net, (height, width, channels), outputs=3)
    assert described.parameters == sum(parameter.numel() for parameter in network.parameters())
    for built in network.steps:
        if not isinstance(built.step.layer, Residual):
            assert built.step.parameters == sum(p.numel() for p in built.module.parameters())
    assert all(
        1 <= step.field.size[axis] <= shape[axis + 1] and math.prod(step.after) > 0 for step in steps for axis in (0, 1)
    )
