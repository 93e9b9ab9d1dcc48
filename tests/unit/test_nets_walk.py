import pytest

from foveal.errors import NetError
from foveal.nets import Conv, check, parse, walk
from foveal.nets.specs import Pool
from foveal.nets.walk import each


def last(line, shape):
    return walk(parse(line), shape)[-1]


@pytest.mark.parametrize(
    ("token", "size", "outputs", "pads"),
    [
        # As tf.nn documents `SAME`: outputs = ceil(size / stride), the odd pixel after.
        ("1c3s2same", 32, 16, (0, 1)),
        ("1c3s2same", 33, 17, (1, 1)),
        ("1c4same", 7, 7, (1, 2)),
        ("1c7s2same", 224, 112, (2, 3)),
        ("1c5s3same", 10, 4, (2, 2)),
        ("1c1s4same", 10, 3, (0, 0)),
        ("1c5same", 1, 1, (2, 2)),
        ("mp2same", 7, 4, (0, 1)),
        ("mp3s2same", 6, 3, (0, 1)),
        ("1c3p1", 7, 7, (1, 1)),
        ("1c5s2p2", 7, 4, (2, 2)),
        ("1c3s2", 8, 3, (0, 0)),
        ("mp2", 7, 3, (0, 0)),
        ("bp2", 7, 3, (0, 0)),
        ("bp2same", 7, 4, (0, 1)),
    ],
)
def test_sizes_and_padding(token, size, outputs, pads):
    (layer,) = parse(token)
    assert isinstance(layer, Conv | Pool)
    assert layer.out_shape((1, size, size)) == (1, outputs, outputs)
    assert layer.window.pads(size, size) == (pads, pads)


def test_height_and_width_are_apart():
    assert last("4c(1x7)s(2x1)p(0x3)-mp(2x1)-flat", (3, 20, 9)).before == (4, 5, 9)


def test_flattening_is_implied_before_the_first_dense_layer_and_at_the_end():
    assert [(step.token, step.after) for step in walk(parse("2c3-5n-4n"), (1, 4, 4))] == [
        ("2c3", (2, 2, 2)),
        ("", (8,)),
        ("5n", (5,)),
        ("4n", (4,)),
    ]
    assert [step.after for step in walk(parse("2c3"), (1, 4, 4))] == [(2, 2, 2), (8,)]
    assert check(parse("2c3-gap"), (1, 4, 4)) == 2


def test_receptive_fields_compose():
    sizes = [step.field.size[0] for step in walk(parse("32c3-mp2-64c3-mp2-128c3-128n"), (3, 32, 32))]
    assert sizes == [3, 4, 8, 10, 18, 32, 32]
    jumps = [step.field.jump for step in walk(parse("1c3s2-mp2-1c(1x5)"), (1, 64, 64))]
    assert jumps[:3] == [(2, 2), (4, 4), (4, 4)]
    assert last("1c3s2-mp2-1c(1x5)-bn", (1, 64, 64)).field.size == (64, 64)
    assert walk(parse("1c3s2-mp2-1c(1x5)-bn"), (1, 64, 64))[3].field.size == (5, 21)
    assert walk(parse("bp2-1c3"), (1, 64, 64))[0].field.size == (4, 4)
    assert walk(parse("bp(2x1)-1c3"), (1, 64, 64))[0].field.size == (4, 1)
    assert walk(parse("1c3same-r(1c3same-1c3same)"), (1, 64, 64))[1].field.size == (7, 7)
    assert walk(parse("(1c3same)x30-gap"), (1, 20, 24))[29].field.size == (20, 24)


def test_whitening_gives_both_signs_of_every_pixel_of_a_patch():
    for line, channels, after, field in (("w2-flat", 3, (24, 7, 7), 2), ("w3s2-flat", 1, (18, 3, 3), 3)):
        step = walk(parse(line), (channels, 8, 8))[0]
        assert (step.after, step.parameters, step.field.size) == (after, 0, (field, field))
        assert step.flops == 2 * channels * field**2 * after[0] * after[1] * after[2]


def test_flops_are_two_for_each_product():
    steps = walk(parse("32c3-mp2-64c3-mp2-128c3-128n:tanh"), (3, 32, 32))
    assert [step.flops for step in steps] == [1_555_200, 0, 6_230_016, 0, 2_359_296, 0, 524_288]


def test_a_bias_goes_only_where_batch_norm_takes_it_off():
    def biases(line):
        return [step.bias for _, step in each(walk(parse(line), (3, 8, 8))) if isinstance(step.layer, Conv)]

    assert biases("4c3:none-bn") == [False]
    assert biases("4c3-bn") == [True]
    assert biases("4c3:none-mp2-bn") == [False]
    assert biases("4c3:none-mp2-mp3same-bn") == [False]
    assert biases("4c3:none-ap2-bn") == [True]
    assert biases("4c3:none-mp2-do0.1-bn") == [True]
    assert biases("(4c3:none)x2-bn") == [True, False]
    assert biases("(4c3same:none-bn)x2") == [False, False]
    assert biases("r(4c3same:none)-bn") == [True]
    assert last("4c3:none-bn-gap", (3, 8, 8)).after == (4,)
    assert sum(step.parameters for step in walk(parse("4c3:none-bn"), (3, 8, 8))) == 4 * 27 + 2 * 4


@pytest.mark.parametrize(
    ("line", "shortcut", "parameters"),
    [
        ("r(3c3same)", None, 0),
        ("r(8c3same)", (1, 1), 24),
        ("r(8c3s2same-8c3same)", (2, 2), 24),
        ("r(3c3same-mp2)", (2, 2), 9),
        ("r(3c3s(2x1)same)", (2, 1), 9),
    ],
)
def test_a_shortcut_is_a_1x1_convolution_where_the_body_changes_the_shape(line, shortcut, parameters):
    step = walk(parse(line), (3, 8, 8))[0]
    assert step.shortcut == shortcut
    assert step.parameters == parameters
    assert step.flops == (0 if shortcut is None else 2 * parameters * step.after[1] * step.after[2])


@pytest.mark.parametrize(
    ("line", "shape", "subject", "words"),
    [
        ("32c3-mp2-mp2-mp2-mp2", (3, 16, 16), "mp2 (token 5)", "gets 1×1, too small for its 2×2 window"),
        ("8c5", (3, 9, 4), "8c5 (token 1)", "gets 9×4, too small for its 5×5 window"),
        ("bp2", (3, 1, 1), "bp2 (token 1)", "leaves nothing"),
        ("8n-mp2", (3, 8, 8), "mp2 (token 2)", "needs an image, and gets 8 numbers in a row"),
        ("gap-8c3", (3, 8, 8), "8c3 (token 2)", "needs an image"),
        ("flat-gap", (3, 8, 8), "gap (token 2)", "needs an image"),
        ("gmp-gmp", (3, 8, 8), "gmp (token 2)", "needs an image"),
        ("8c3-w2", (3, 8, 8), "w2 (token 2)", "must be the first layer"),
        ("w2-w2", (3, 8, 8), "w2 (token 2)", "must be the first layer"),
        ("(w2:none)x2", (3, 8, 8), "w2:none (token 1, repetition 1)", "must be the first layer"),
        ("bn-r(w1-bn)", (3, 8, 8), "w1 (token 2)", "must be the first layer"),
        ("w3", (3, 2, 9), "w3 (token 1)", "gets 2×9, too small for its 3×3 window"),
        ("8c3-r(8c3)", (3, 8, 8), "r(8c3) (token 2)", "gives 4×4 from its body and 6×6 from its shortcut"),
        ("r(8c3same-mp2-bn)", (3, 9, 9), "r(8c3same-mp2-bn) (tokens 1 to 3)", "4×4 from its body and 5×5"),
        ("r(flat-8n)", (3, 8, 8), "r(flat-8n) (tokens 1 to 2)", "adds 8 numbers in a row to an image"),
        ("8n-r(9n)", (3, 8, 8), "r(9n) (token 2)", "adds 9 numbers to 8"),
        ("(8c3-mp2)x9", (3, 32, 32), "8c3 (token 1, repetition 4)", "gets 2×2"),
        ("bn-r(bn-(mp2same-r(bn-mp5))x2)", (3, 8, 8), "mp5 (token 5, repetition 1)", "gets 4×4"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_and_shown(line, shape, subject, words):
    with pytest.raises(NetError) as raised:
        check(parse(line), shape)
    first, shown, carets = raised.value.message.splitlines()
    assert first.startswith(subject)
    assert words in first
    assert raised.value.remedy
    token = subject.split(" (")[0]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == token


def test_too_many_layers_are_refused_before_they_are_written_out():
    with pytest.raises(NetError, match=r"1,000,000,000 layers .* at most 10,000"):
        check(parse("(((bn)x1000)x1000)x1000"), (3, 8, 8))
