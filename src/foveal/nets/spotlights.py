"""Which scalar of a head's outputs is in the light. Shapes: B images, K labels or values, A candidates for a box."""

from torch import Tensor

from foveal.chosen import Chosen

__all__ = ["box_logit", "label_logit", "likeliest_label", "surest_box"]


def label_logit(outputs: Tensor, chosen: Chosen | None) -> Tensor:
    """(B, K) to (B,): the logit of the chosen label, or of each image's likeliest."""
    return outputs.amax(dim=1) if chosen is None else outputs[:, chosen.number]


def likeliest_label(outputs: Tensor) -> Chosen:
    """Of one image's logits (K,)."""
    number = int(outputs.argmax())
    return Chosen(number, f"output {number}")


def box_logit(outputs: Tensor, chosen: Chosen | None) -> Tensor:
    """(B, A, 4 + K) to (B,): the logit of the chosen label at the chosen candidate, or of each image's surest box."""
    if chosen is None:
        return outputs[..., 4:].amax(dim=(1, 2))
    assert chosen.place is not None
    return outputs[:, chosen.place, 4 + chosen.number]


def surest_box(outputs: Tensor) -> Chosen:
    """Of one image's (A, 4 + K)."""
    logits = outputs[:, 4:]
    place, number = divmod(int(logits.argmax()), logits.shape[1])
    left, top, right, bottom = outputs[place, :4].tolist()
    return Chosen(number, f"output {number}", place, (left, top, right, bottom))
