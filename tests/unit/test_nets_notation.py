import re
from pathlib import Path

import pytest
import torch

from foveal.errors import NetError
from foveal.nets import (
    ACTIVATIONS,
    ZOO,
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
    expand,
    net_of,
    parse,
    walk,
)
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import build
from foveal.recipe import InputContract

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "notation.md").read_text(encoding="utf-8")


def blocks(tag: str) -> list[str]:
    return re.findall(rf"^```{tag}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("token", "layer"),
    [
        ("32c3", Conv(32, (3, 3), (1, 1), (0, 0), "relu")),
        ("32c5s2", Conv(32, 5, stride=2)),
        ("32c3same", Conv(32, 3, padding="same")),
        ("32c3p1", Conv(32, 3, padding=1)),
        ("64c(1x7)", Conv(64, (1, 7))),
        ("64c(1x7)p(0x3)", Conv(64, (1, 7), padding=(0, 3))),
        ("32c3s(2x1):tanh", Conv(32, 3, stride=(2, 1), activation="tanh")),
        ("mp2", MaxPool(2, 2)),
        ("mp3s2", MaxPool(3, 2)),
        ("mp3s2p1", MaxPool(3, 2, 1)),
        ("mp2same", MaxPool(2, padding="same")),
        ("mp(2x1)", MaxPool((2, 1), (2, 1))),
        ("ap2", AvgPool(2)),
        ("bp2", BlurPool(2)),
        ("gap", GlobalAvgPool()),
        ("gmp", GlobalMaxPool()),
        ("w2", Whiten(2, 1, "relu")),
        ("w3s2", Whiten(3, stride=2)),
        ("w2:none", Whiten(2, activation="none")),
        ("bn", BatchNorm("none")),
        ("bn:relu", BatchNorm("relu")),
        ("do0.5", Dropout(0.5)),
        ("do0", Dropout(0)),
        ("flat", Flatten()),
        ("128n", Dense(128, "relu")),
        ("128n:none", Dense(128, "none")),
        ("r(8c3same-bn)", Residual([Conv(8, 3, padding="same"), BatchNorm()], "none")),
        ("r(bn):relu", Residual([BatchNorm()], "relu")),
        ("(8c3-mp2)x3", Repeat([Conv(8, 3), MaxPool(2)], 3)),
        ("(r((bn)x2))x2", Repeat([Residual([Repeat([BatchNorm()], 2)])], 2)),
    ],
)
def test_a_token_is_its_object_and_the_object_its_token(token, layer):
    assert parse(token) == Net([layer])
    assert str(layer) == token


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("32C3-MP2", "32c3-mp2"),
        ("32c3s1p0-mp2s2", "32c3-mp2"),
        ("W02S1:RELU-GMP", "w2-gmp"),
        ("32c3sames2", "32c3s2same"),
        ("32c(3x3)p(1x1)", "32c3p1"),
        ("032c3:relu-bn:none", "32c3-bn"),
        ("do.50-do0.10", "do0.5-do0.1"),
        (" 32c3 -\n\tmp2 - R( bn ) :relu - ( 8c3 ) x 2", "32c3-mp2-r(bn):relu-(8c3)x2"),
        ("32c(1×7)–mp2", "32c(1x7)-mp2"),
    ],
)
def test_many_spellings_have_one_canonical_line(written, line):
    assert str(parse(written)) == line


@pytest.mark.parametrize(
    ("line", "subject", "words"),
    [
        ("32c3-mq2", "mq2 (token 2)", "Did you mean mp2?"),
        ("32c", "32c (token 1)", "Did you mean 32c3?"),
        ("conv32", "conv32 (token 1)", "Did you mean 32c3?"),
        ("32c3-dense128", "dense128 (token 2)", "Did you mean 128n?"),
        ("32c3-fc128", "fc128 (token 2)", "Did you mean 128n?"),
        ("dropout0.3", "dropout0.3 (token 1)", "Did you mean do0.3?"),
        ("32c3-flatten", "flatten (token 2)", "Did you mean flat?"),
        ("whiten3", "whiten3 (token 1)", "Did you mean w3?"),
        ("w2same", "w2same (token 1)", "Whitening is written w2 or w3s2."),
        ("32c3-globalmaxpool", "globalmaxpool (token 2)", "Did you mean gmp?"),
        ("32c3-128", "128 (token 2)", "128n for a dense layer, 128c3 for a convolution"),
        ("32c3-relu", "relu (token 2)", "32c3:relu"),
        ("128n-softmax", "softmax (token 2)", "Leave it out"),
        ("32c3-zzz", "zzz (token 2)", "w2 32c3 mp2 ap2 bp2 gap gmp bn do0.5 flat 128n"),
        ("32c0", "32c0 (token 1)", "needs a kernel from 1 to 1,000,000, found 0"),
        ("w0", "w0 (token 1)", "needs a kernel from 1 to 1,000,000, found 0"),
        ("w2s0", "w2s0 (token 1)", "needs a stride from 1"),
        ("gmp:relu", "gmp:relu (token 1)", "takes no activation"),
        ("0c3", "0c3 (token 1)", "needs filters from 1 to 1,000,000, found 0"),
        ("32c(3x0)", "32c(3x0) (token 1)", "found 3×0"),
        ("32c3s0", "32c3s0 (token 1)", "needs a stride from 1"),
        ("32c3s2s3", "32c3s2s3 (token 1)", "stride twice"),
        ("32c3p1same", "32c3p1same (token 1)", "padding twice"),
        ("9" * 5000 + "c3", "c3 (token 1)", "number above 1,000,000"),
        ("0n", "0n (token 1)", "needs units from 1"),
        ("do1", "do1 (token 1)", "needs a share from 0 to below 1, found 1.0"),
        ("mp3p2", "mp3p2 (token 1)", "padding 2×2, more than half of its kernel 3×3"),
        ("mp2:relu", "mp2:relu (token 1)", "takes no activation"),
        ("32c3:tan", "32c3:tan (token 1)", "Did you mean tanh?"),
        ("32c3:", "32c3: (token 1)", "found nothing after the colon"),
        ("r(bn):foo", "The activation of r(…)", "found 'foo'"),
        ("(32c3-mp2", "This parenthesis", "is never closed"),
        ("r(32c3", "This parenthesis", "is never closed"),
        ("32c3)-mp2", "This parenthesis", "closes nothing"),
        ("(32c3-mp2)", "This group", "not followed by how often"),
        ("(bn)x0", "A repetition", "needs times from 1 to 1,000,000, found 0"),
        ("r(bn)x2", "'x' follows a layer", "(r(…))x3"),
        ("32c3 mp2", "'m' follows a layer", "Join layers with -"),
        ("32c3--mp2", "A layer", "is missing before '-'"),
        ("32c3-", "A layer", "is missing at the end of the line"),
        ("r()", "A layer", "is missing before ')'"),
        ("r(" * 40 + "bn" + ")" * 40, "Parentheses", "nested more than 20 deep"),
    ],
)
def test_a_wrong_line_names_the_token_and_why(line, subject, words):
    with pytest.raises(NetError) as raised:
        parse(line)
    assert subject in raised.value.message
    assert words in str(raised.value)
    shown, carets = raised.value.message.splitlines()[1:]
    assert carets.strip("^ ") == ""
    assert "^" in carets
    assert len(carets) <= len(shown) + 1 <= 80


def test_an_empty_line_is_refused():
    with pytest.raises(NetError, match="line is empty"):
        parse(" \n")


def test_a_long_line_is_shown_around_the_wrong_token():
    with pytest.raises(NetError) as raised:
        parse("-".join(["32c3same"] * 30 + ["oops9"] + ["bn"] * 30))
    shown, carets = raised.value.message.splitlines()[1:]
    assert shown.strip().startswith("…")
    assert shown.endswith("…")
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "oops9"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Conv(0), "Conv needs filters from 1"),
        (lambda: Conv(8, activation="relux"), "Conv needs one of the activations"),
        (lambda: BlurPool(2, 0), "BlurPool needs a stride from 1"),
        (lambda: Dropout(1.0), "Dropout needs a share"),
        (lambda: Dense(-1), "Dense needs units"),
        (lambda: Whiten(0), "Whiten needs a kernel"),
        (lambda: Whiten(2, activation="relux"), "Whiten needs one of the activations"),
        (lambda: Repeat([BatchNorm()], 0), "Repeat needs times"),
        (lambda: Residual([]), "Residual needs at least one layer"),
        (lambda: Net([]), "Net needs at least one layer"),
        (lambda: Net(["32c3"]), "Net takes layers such as Conv"),
    ],
)
def test_objects_refuse_what_tokens_refuse(make, words):
    with pytest.raises(NetError, match=re.escape(words)):
        make()


def test_a_net_is_a_tuple_of_layers():
    net = Net([Conv(32), MaxPool()])
    assert list(net) == [Conv(32, 3), MaxPool(2, 2)]
    assert len(net) == 2
    assert hash(net) == hash(parse("32c3-mp2"))
    assert MaxPool(2) != AvgPool(2)
    assert eval(repr(net)) == net


def test_names_and_lines_expand_to_one_line():
    assert expand("cookbook") == expand(" Cookbook ") == expand("32C3-MP2-64C3-MP2-128C3-128N")
    assert net_of([Conv(32), MaxPool()]) == net_of("32c3-mp2")
    assert {name: expand(name) for name in ZOO} == ZOO


@pytest.mark.parametrize(
    ("name", "meant"), [("resnet", "resnet9"), ("vgg_small", "vgg-small"), ("cokbook", "cookbook")]
)
def test_an_unknown_name_lists_the_zoo(name, meant):
    with pytest.raises(NetError) as raised:
        expand(name)
    assert f"Did you mean {meant}?" in raised.value.remedy
    assert all(known in raised.value.remedy for known in ZOO)


def test_the_page_shows_lines_that_can_be_built():
    lines = [line for block in blocks("net") for line in block.splitlines()]
    assert len(lines) >= 14
    for line in lines:
        network = build(line, InputContract(height=32, width=32, channels=3), ClassificationHead, 10)
        assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_the_page_shows_tokens_and_activations_that_exist():
    first_columns = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Grammar")[0], flags=re.MULTILINE)
    activations = [cell for cell in first_columns if cell in ACTIVATIONS]
    assert activations == list(ACTIVATIONS)
    for token in set(first_columns) - {*ACTIVATIONS}:
        parse(token.replace("…", "bn"))


def test_the_page_shows_the_errors_that_come():
    shown = blocks("net-error")
    assert len(shown) >= 5
    for block in shown:
        line, message = block.split("\n", 1)
        with pytest.raises(NetError) as raised:
            walk(parse(line), (3, 32, 32))
        assert str(raised.value) == message.rstrip("\n")


def test_the_page_shows_python_that_runs():
    (block,) = blocks("python")
    exec(block, {})


def test_the_page_names_the_zoo():
    for name, line in ZOO.items():
        shown = re.search(rf"^\| `{name}` \| `([^`…]+)", PAGE, flags=re.MULTILINE)
        assert shown
        assert line.startswith(shown[1])
