"""The part of a bundle's model card that says how to use it, with Foveal and without."""

from foveal.bundle import Agreement, Manifest
from foveal.phrasing import counted

__all__ = ["used"]

RULES = {
    "stretch": "resized to {size}, whatever its shape",
    "crop": "resized so that it covers {size}, and its middle cut out",
    "pad": "resized so that it fits into {size}, in the middle of black",
}


def used(manifest: Manifest) -> str:
    """Markdown, from its heading on."""
    parts = [WITH_FOVEAL.format(kind=manifest.kind)]
    if manifest.graph is not None:
        parts.append(_without(manifest))
    parts.append(_agreement(manifest.agreement, manifest.kind))
    parts.append(
        "No licence is stated here: whoever made the images and the labels, and you, decide on it. This page is yours "
        "to edit; the other files are not.\n"
    )
    return "\n".join(parts)


WITH_FOVEAL = """\
## Use

```sh
foveal predict BUNDLE photo.jpg          # this folder; --json for one object a line
```

```python
import foveal

answer = foveal.load("BUNDLE")("photo.jpg")
print(answer)
```

`bundle.json` has the labels, the input, what was chosen on validation, the recipe, and the hashes of the files.
"""


def _without(manifest: Manifest) -> str:
    graph, input_ = manifest.graph, manifest.input
    assert graph is not None
    rule = RULES[input_.resize].format(size=f"{input_.width}×{input_.height}")
    rows = [
        f"| {what} | `{name}` | {value.dtype} {'×'.join(map(str, value.shape))} | {value.meaning} |"
        for what, values in (("in", graph.inputs), ("out", graph.outputs))
        for name, value in values.items()
    ]
    return (
        f"Without Foveal, the graph takes decoded images, upright and {rule} ({input_.interpolation}, antialiased); "
        "normalisation is inside.\n\n"
        "| | name | numbers | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def _agreement(agreement: Agreement, kind: str) -> str:
    if agreement.difference is None:
        return "There was no image to compare it with the trained network on.\n"
    changed = "none" if not agreement.changed else f"{agreement.changed:,}"
    text = (
        f"On {counted(agreement.images, f'{agreement.split} image')} of the run its numbers differ from those of torch "
        f"by at most {agreement.difference:.2g}, and {changed} of the answers."
    )
    for name, score in agreement.scores.items():
        text += (
            f" As {kind} its {name} is {score['export']:.4f}, the network's {score['network']:.4f}: a difference of "
            f"{score['difference']:+.4f} [{score['low']:+.4f}, {score['high']:+.4f}]."
        )
    return f"{text} {agreement.doubt}".rstrip() + "\n"
