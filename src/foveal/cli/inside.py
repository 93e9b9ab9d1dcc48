"""The command that looks inside a network."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.completing import labelled
from foveal.cli.loading import uncollected
from foveal.cli.options import DEVICE, RUN, completed, examples
from foveal.cli.stopping import ANEW, stopped_with
from foveal.phrasing import counted

__all__ = ["EXPLAIN", "explain"]

EXPLAIN = examples(
    "foveal explain runs/photos-1 cat.jpg",
    "foveal explain runs/photos-1 cat.jpg --target dog --out pages",
    "foveal explain runs/cells-1 slide.png --box 2 --method occlusion",
    "foveal explain runs/photos-1 'new/*.jpg' --json",
    "foveal explain runs/photos-1",
)


def explain(
    run: RUN,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE…]",
            help="Files, folders, or patterns in quotes; none: the network by itself, its filters and what they like.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Explain this label or value, instead of the network's answer.",
            autocompletion=labelled(),
        ),
    ] = None,
    box: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Explain the box of that number, the surest is 1.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="grad-cam, integrated-gradients or occlusion; may be repeated; all three unless said.",
            autocompletion=completed("grad-cam", "integrated-gradients", "occlusion"),
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the pages go; RUN/explained unless said.")
    ] = None,
    own_scale: Annotated[
        bool, typer.Option("--own-scale", help="Give each feature map a colour scale of its own, not one a layer.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Show maps that failed their tests openly, too. They explain nothing.")
    ] = False,
    device: DEVICE = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Look inside: what each layer did with an image and why the answer, each map tested; one HTML page an image."""
    if not images:
        for name, given in (("--target", target), ("--box", box), ("--method", method)):
            if given is not None:
                raise typer.BadParameter("is about an image, and none is named.", param_hint=name)
    wrong, pages = 0, 0
    with stopped_with(lambda: f"{counted(pages, 'page')} written." if pages else f"No page was written. {ANEW}"):
        from foveal.api import explain, explain_network
        from foveal.api.explaining import METHODS
        from foveal.cli import show

        with show.working(f"looking inside {run}") as progress:
            with uncollected():
                if not images:
                    page = explain_network(run, out=out, device=device or "auto", progress=progress)
                    show.json_object({"page": str(page)}) if as_json else show.inside_network(page)
                    return
                explanations = explain(
                    run,
                    images,
                    target=target,
                    box=box,
                    methods=method or METHODS,
                    out=out,
                    own_scale=own_scale,
                    failed=failed,
                    device=device or "auto",
                    progress=progress,
                )
            with closing(explanations):
                for one in explanations:
                    wrong += one.error is not None
                    pages += one.error is None
                    show.json_object(one.as_dict()) if as_json else show.explanation(one)
    if wrong:
        raise typer.Exit(1)
