"""Nets that find things: bodies that give maps, and the head on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from foveal.engine.pretrained import Weights, put_weights
from foveal.errors import NetError
from foveal.nets import describe
from foveal.nets.detect import DetectionHead
from foveal.nets.heads import ClassificationHead
from foveal.nets.layers import Network, build
from foveal.recipe import InputContract

STRIDES = (8, 16, 32)
LINE = "8c3s2same:none-bn:relu-12c3s2same-mp2-r(12c3same)-16c3s2same-20c3s2same:none-bn:relu"
TIMM = "timm/test_efficientnet"
NAN = float("nan")


def network(net: str = LINE, height: int = 64, width: int = 96, labels: int = 3, **options) -> Network:
    contract = InputContract(height=height, width=width, channels=3)
    return build(net, contract, DetectionHead, labels, strides=STRIDES, **options)


def pixels(count: int = 2, height: int = 64, width: int = 96) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(0)).byte()


def target(*images: list[tuple[float, ...]], most: int = 3) -> Tensor:
    """(B, most, 6) of x0 y0 x1 y1 label [crowd]."""
    rows = torch.full((len(images), most, 6), NAN)
    for one, boxes in zip(rows, images):
        for row, box in zip(one, boxes):
            row[:] = torch.tensor([*box, 0.0][:6])
    return rows


TARGET = target([(8, 8, 40, 44, 0), (50, 20, 90, 60, 2)], [(20, 10, 60, 50, 1)])


def test_a_line_gives_its_last_map_at_each_stride() -> None:
    net = network().eval()
    images = net.normalize(pixels())
    maps = net.body(images)
    assert [tuple(one.shape) for one in maps] == [(2, 12, 8, 12), (2, 16, 4, 6), (2, 20, 2, 3)]
    x = images
    given = [x := built.module(x) for built in net.steps if built.step.number not in (5,)]
    assert torch.allclose(maps[0], net.steps[5].module(given[3]), atol=1e-6), "after the residual block"
    assert [built.step.token for built in net.steps] == [
        "8c3s2same:none",
        "bn:relu",
        "12c3s2same",
        "mp2",
        "12c3same",
        "r(12c3same)",
        "16c3s2same",
        "20c3s2same:none",
        "bn:relu",
    ]


@pytest.mark.parametrize(
    ("name", "channels"),
    [("mobilenetv2_100", (32, 96, 320)), ("resnet18", (128, 256, 512)), ("test_efficientnet", (32, 48, 64))],
)
def test_a_backbone_gives_the_maps_that_timm_knows(name: str, channels: tuple[int, ...]) -> None:
    net = network(f"timm/{name}").eval()
    maps = net.body(net.normalize(pixels()))
    sizes = [(8, 12), (4, 6), (2, 3)]
    assert [tuple(one.shape[1:]) for one in maps] == [(c, *size) for c, size in zip(channels, sizes)]
    assert net(pixels()).shape == (2, 8 * 12 + 4 * 6 + 2 * 3, 4 + 3)


def test_pretrained_weights_keep_their_names(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    pooled = build(TIMM, InputContract(height=64, width=64, channels=3), ClassificationHead, 4, seed=1).backbone
    net = network(TIMM)
    assert pooled is not None
    assert net.backbone is not None
    save_file(pooled.net.state_dict(), tmp_path / "some.safetensors")
    put_weights(net, Weights("test_efficientnet", tmp_path / "some.safetensors", "here", "mit", ""))
    assert all(
        torch.equal(a, b) for a, b in zip(pooled.net.state_dict().values(), net.backbone.net.state_dict().values())
    )


def test_what_no_map_depends_on_is_never_trained() -> None:
    net = network(TIMM)
    body = net.backbone
    assert body is not None
    assert {name for name in body.unused if "head" in name} == {"conv_head.weight"}
    for share in (1.0, 0.5, 0.0):
        body.freeze(share)
        assert not body.net.conv_head.weight.requires_grad
    assert body.net.conv_stem.weight.requires_grad
    depths = body.depths()
    assert body.net.conv_head.weight not in depths
    assert sorted(set(depths.values())) == list(range(max(depths.values()) + 1))
    net.train()
    sum(net.head.loss(net(pixels()), TARGET).values()).backward()
    assert all(weight.grad is not None for weight in net.parameters() if weight.requires_grad)
    assert not network(TIMM).backbone.net.conv_head.weight.requires_grad


@pytest.mark.parametrize(
    ("line", "told", "remedy"),
    [
        (f"{LINE}-gap", "gap (token 9) leaves no map", "End the line before it."),
        (f"{LINE}-flat", "flat (token 9) leaves no map", "End the line"),
        (f"{LINE}-8n", "8n (token 9) leaves no map", "End the line"),
        (f"{LINE}-mp2", "mp2 (token 9) goes to a stride of 64×64, beyond 32", "End the line"),
        ("8c3s8same-8c3s2same", "makes none at 32; it ends with 8c3s2same (the last token)", "Halve the image"),
        ("8c3s2same", "makes none at 8, 16, 32; it ends with 8c3s2same (the only token)", "Halve the image"),
        ("8c3s(4x8)same-8c3s(2x1)same-8c3s4same", "makes none at 16; it ends", "Halve the image"),
        ("8c9s8-8c3s2same-8c3s2same", "8c9s8 (token 1) leaves 7×11, where a map of stride 8 has 8×12", "`same`"),
        (f"{TIMM}-do0.2-8c3", "do0.2-8c3 follows a backbone", f"Leave it out: {TIMM}."),
        (f"{TIMM}-gap", "gap follows a backbone", "Leave it out"),
        ("timm/vit_tiny_patch16_224", "cannot take images of 64×96×3", "Give it the size"),
        ("timm/test_vit", "(token 1) makes no feature maps at the strides 8, 16, 32", "timm/mobilenetv2_100"),
    ],
)
def test_a_net_without_the_maps_is_refused(line: str, told: str, remedy: str) -> None:
    size = (160, 160) if "test_vit" in line else (64, 96)
    with pytest.raises(NetError) as caught:
        network(line, *size)
    assert told in caught.value.message
    assert remedy in caught.value.remedy


def test_a_module_of_ones_own_has_no_maps() -> None:
    with pytest.raises(NetError, match="Sequential, a torch") as caught:
        network(nn.Sequential(nn.Flatten()))  # pyright: ignore[reportArgumentType]
    assert "detector" in caught.value.remedy


def test_sides_are_multiples_of_the_largest_stride() -> None:
    with pytest.raises(NetError, match="multiples of 32, found 100×64") as caught:
        network(height=100, width=64)
    assert caught.value.remedy == "--set input.height=96 --set input.width=64"


def test_initial_weights_are_a_function_of_the_seed() -> None:
    before = torch.get_rng_state()
    first, again, other = network(seed=0), network(seed=0), network(seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(first.head.label_output.weight, other.head.label_output.weight)


def test_before_training_nothing_is_found() -> None:
    outputs = network().eval()(pixels())
    assert torch.allclose(outputs[..., 4:].sigmoid(), torch.tensor(0.01), atol=0.02)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_boxes_are_finite_and_ordered_whatever_the_weights(training: bool, scale: float) -> None:
    net = network().train(training)
    with torch.no_grad():
        for weight in net.head.box_output.parameters():
            weight.normal_(std=scale, generator=torch.Generator().manual_seed(0))
        outputs = net(pixels())
    assert outputs.dtype == torch.float32
    assert outputs.isfinite().all()
    assert (outputs[..., 2:4] >= outputs[..., :2]).all()


def test_sides_are_counted_in_strides_from_the_middle_of_a_cell() -> None:
    net = network().eval()
    with torch.no_grad():
        net.head.box_output.weight.zero_()
        net.head.box_output.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).exp().sub(1).log())  # softplus' inverse
    boxes = net(pixels())[0, :, :4]
    expected = [[4 - 8.0, 4 - 16, 4 + 24, 4 + 32], [12 - 8, 4 - 16, 12 + 24, 4 + 32]]
    assert torch.allclose(boxes[:2], torch.tensor(expected), atol=1e-4)
    assert torch.allclose(boxes[-1], torch.tensor([80.0 - 32, 48 - 64, 80 + 96, 48 + 128]), atol=1e-3)


def test_the_loss_of_a_batch_is_the_mean_over_its_images() -> None:
    net = network()
    outputs, targets = net(pixels(4)).detach(), torch.cat([TARGET, target([], [(0, 0, 9, 9, 1)])])
    together = net.head.loss(outputs, targets)
    assert sorted(together) == ["box", "class"]
    for name, loss in together.items():
        alone = [net.head.loss(outputs[k : k + 1], targets[k : k + 1])[name] for k in range(4)]
        assert loss.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-6)
    padded = torch.cat([targets, torch.full((4, 7, 6), NAN)], dim=1)
    assert net.head.loss(outputs, padded) == together
    assert net.head.loss(outputs, padded.numpy()) == together


def test_images_without_boxes_teach_that_nothing_is_there() -> None:
    net = network()
    outputs = net(pixels()).detach().requires_grad_()
    losses = net.head.loss(outputs, target([], []))
    assert losses["box"] == 0
    assert losses["class"] > 0
    sum(losses.values()).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert not outputs.grad[..., :4].any()
    assert (outputs.grad[..., 4:] > 0).all()


def test_a_crowd_teaches_nothing() -> None:
    net = network()
    outputs = net(pixels()).detach().requires_grad_()
    crowd = (0, 0, 96, 40, 1, 1)
    sum(net.head.loss(outputs, target([crowd], [crowd, (50, 10, 80, 40, 2)])).values()).backward()
    grad, inside = outputs.grad, net.head._places(outputs).points[:, 1] <= 40
    assert grad is not None
    assert not grad[0, inside].any()
    assert grad[0, ~inside, 4:].all()
    answering = grad[1, :, :4].any(dim=1)
    assert answering.sum() >= 4
    assert not grad[1, inside & ~answering].any()


def test_every_weight_learns_from_boxes() -> None:
    net = network()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = net(pixels())
    assert outputs.dtype == torch.float32
    losses = net.head.loss(outputs, TARGET)
    assert all(loss.dtype == torch.float32 and loss.ndim == 0 for loss in losses.values())
    sum(losses.values()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any() or name.startswith("head.box_tower.norms"), name  # of a map that no box suits


def test_training_repeats_itself_bit_by_bit() -> None:
    def trained() -> list[Tensor]:
        net = network(seed=3)
        optimizer = torch.optim.SGD(net.parameters(), 0.01)
        for _ in range(3):
            optimizer.zero_grad()
            sum(net.head.loss(net(pixels()), TARGET).values()).backward()
            optimizer.step()
        return list(net.state_dict().values())

    assert all(torch.equal(first, again) for first, again in zip(trained(), trained()))


def test_a_small_net_learns_where_two_things_are() -> None:
    images = torch.full((2, 3, 64, 64), 40, dtype=torch.uint8)
    truth = [[(6, 10, 30, 40, 0)], [(20, 12, 52, 36, 1)]]
    images[0, 0, 10:40, 6:30] = 220
    images[1, 2, 12:36, 20:52] = 220
    net = network(LINE, 64, 64, labels=2)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = sum(net.head.loss(net(images), target(*truth)).values())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    outputs = net.eval()(images).detach().numpy()
    for found, ((*box, label),) in zip(outputs, truth):
        place, named = np.unravel_index(found[:, 4:].argmax(), found[:, 4:].shape)
        assert named == label
        assert np.abs(found[place, :4] - box).max() < 4


def test_spotlight_is_the_surest_logit() -> None:
    outputs = torch.zeros(2, 5, 6)
    outputs[0, 3, 4], outputs[1, 0, 5], outputs[0, 0, 0] = 2.0, 3.0, 99.0
    assert DetectionHead((8, 8, 8), 2).spotlight(outputs).tolist() == [2, 3]


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts
@pytest.mark.parametrize("line", [TIMM, f"{LINE}-ssd"])  # either body, either head
def test_onnx_says_the_same(line: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net = network(line).train()
    net(pixels(4))
    net.eval()
    file = tmp_path / "net.onnx"
    torch.onnx.export(
        net, (pixels(),), file, input_names=["images"], dynamo=True, dynamic_shapes=({0: "batch"},), verbose=False
    )
    session = onnxruntime.InferenceSession(file)
    for count in (1, 2, 5):
        images = pixels(count)
        expected = net(images).detach().numpy()
        (found,) = session.run(None, {"images": images.numpy()})
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("line", [LINE, TIMM, f"{LINE}-ssd"])
def test_described_as_it_is_built(line: str) -> None:
    net = network(line)
    told = describe(line, (64, 96, 3), 3, strides=STRIDES)
    unused = net.backbone.unused if net.backbone else ()
    built = sum(p.numel() for name, p in net.named_parameters() if name.removeprefix("body.0.net.") not in unused)
    assert told.parameters == built
    *_, row = told.rows
    assert row.kind.startswith("boxes, from maps at strides")
    assert row.shape == net(pixels()).shape[1:]
    with FlopCounterMode(display=False) as counter:
        net.eval()(pixels(1))
    assert told.flops == counter.get_total_flops()
