"""The command that makes bundles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.loading import uncollected
from foveal.cli.options import JSON, RUN, completed, examples
from foveal.cli.stopping import ANEW, stopped_with
from foveal.phrasing import command, counted, listed

if TYPE_CHECKING:
    from foveal.bundle import Bundle

__all__ = ["EXPORT", "export", "settled_of", "told_of_bundles"]

EXPORT = examples(
    "foveal export runs/photos-1",
    "foveal export runs/photos-1 --to int8 --out small/",
    "foveal export runs/photos-1 --to bf16",
    "foveal export runs/photos-1 --whole --json",
    "foveal export runs/photos-1 --to docker --out container/",
)
CHOICES = ("onnx", "int8", "bf16", "openvino", "torch", "docker")
ROUNDED = ("int8", "bf16")


def export(
    run: RUN,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="KIND",
            help="onnx, for ONNX Runtime and whatever reads ONNX; int8, the same in 8 bits; bf16, the same with "
            "weights in bfloat16: half the file, as fast and as large in memory, since ONNX Runtime turns them into "
            "float32 when it loads it; openvino; torch: the weights and their recipe; or docker: onnx, and what a "
            "container of a server is built from.",
            autocompletion=completed(*CHOICES),
        ),
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The bundle's folder; RUN/bundle, RUN/bundle-KIND or RUN/docker unless said."),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Write whole.onnx, too: a graph that takes an image of any size and resizes it."),
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Keep an export that rounds even where its answers are worse.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Write a run as a bundle that needs no torch, once it has answered the test images as the network does."""
    if to not in CHOICES:
        raise typer.BadParameter(f"expected one of {', '.join(CHOICES)}; found {to!r}", param_hint="--to")
    if to == "docker" and (whole or accept):
        raise typer.BadParameter("docker takes neither --whole nor --accept", param_hint="--to")
    looked = " A look at the test images may have been counted." if to in ROUNDED else ""
    with stopped_with(f"No bundle was written.{looked} {ANEW}"):
        from rich.markup import escape

        from foveal.api import export
        from foveal.api.containing import container
        from foveal.cli import show

        with uncollected(), show.working(f"exporting {run}") as progress:
            if to == "docker":
                bundle = container(run, out=out, progress=progress)
            else:
                bundle = export(run, to=to, out=out, whole=whole, accept=accept, progress=progress)
    show.json_object(as_dict(bundle)) if as_json else told(bundle)
    if to == "docker" and not as_json:
        show.out.print(
            f"{escape(str(bundle.path.parent / 'compose.yaml'))} begins with how to start it", soft_wrap=True
        )


def as_dict(bundle: "Bundle") -> dict[str, object]:
    """What `--json` prints: where the bundle is, its kind, and how far it agrees with the network."""
    manifest = bundle.manifest
    agreement = manifest.agreement.model_dump(mode="json")
    return {"bundle": str(bundle.path), "kind": manifest.kind, "files": sizes(bundle), "agreement": agreement}


def sizes(bundle: "Bundle") -> dict[str, int]:
    """Bytes of each file."""
    return {name: len(data) for name, data in bundle.contents.items()}


def told(bundle: "Bundle") -> None:
    """The bundle in a few lines."""
    from rich.markup import escape

    from foveal.cli import show

    found = bundle.manifest.agreement
    if found.difference is None:
        show.out.print("There was no image to compare it with the trained network on.")
    else:
        allowed = "" if found.allowed is None else f" (allowed: {found.allowed:g})"
        ties = f"; {counted(found.ties, 'tie')} aside" if found.ties else ""
        show.out.print(
            f"On {counted(found.images, f'{found.split} image')}: largest difference {found.difference:.2g}{allowed}, "
            f"{counted(found.changed, 'answer')} changed{ties}",
            soft_wrap=True,
        )
    for name, score in found.scores.items():
        show.out.print(
            f"{name} {score['export']:.4f}, the network's {score['network']:.4f}: difference "
            f"{score['difference']:+.4f} [dim]\\[{score['low']:+.4f}, {score['high']:+.4f}][/]"
            f"{'; accepted although worse' if found.accepted else ''}",
            soft_wrap=True,
        )
    if found.scores:
        show.out.print("This was a look at the test images, and is counted.", style="dim", soft_wrap=True)
    if found.doubt:
        show.out.print(f"[yellow]{escape(found.doubt)}[/]", soft_wrap=True)
    if found.whole:
        show.out.print(
            f"whole.onnx, which resizes by itself, on {found.whole['images']:,.0f} of them: largest difference "
            f"{found.whole['difference']:.2g}, {counted(round(found.whole['changed']), 'answer')} changed",
            soft_wrap=True,
        )
    if found.torch_seconds and found.export_seconds and found.torch_latency and found.export_latency:
        show.out.print(
            f"An image alone {1e3 * found.export_latency:.2f} ms, torch {1e3 * found.torch_latency:.2f} ms; in batches "
            f"of {found.batch} {1 / found.export_seconds:,.0f} images/s, torch {1 / found.torch_seconds:,.0f}",
            soft_wrap=True,
        )
    for name, size in sizes(bundle).items():
        show.out.print(f"  {escape(name)}  [dim]{size / 1e6:.2f} MB[/]")
    show.out.print(f"[bold]{escape(str(bundle.path))}[/]", soft_wrap=True)


def settled_of(run: Path) -> bytes:
    """What decides how a run answers, beside its weights; empty where there is nothing."""
    path = run / "settled.json"
    return path.read_bytes() if path.is_file() else b""


def told_of_bundles(run: Path) -> None:
    """On stderr, once a run was settled anew: which bundles answer as it did before, and how to export them again."""
    from rich.markup import escape

    from foveal.api.settling import outdated_bundles
    from foveal.cli.terminal import err
    from foveal.run import Run

    old = outdated_bundles(Run.open(run))
    named = [f"{path} ({kind})" for path, kind in old]
    places = listed([*named, "bundles of it that lie elsewhere"])
    again = listed([_again(run, path, kind) for path, kind in old] or [command("foveal", "export", run)])
    first = f"remove {'it' if len(old) == 1 else 'them'} and run " if old else "run "
    text = f"{run} answers otherwise from now on; {places} answer as it did. To export again, {first}{again}"
    err.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def _again(run: Path, bundle: Path, kind: str) -> str:
    """The command that made a bundle."""
    if bundle == run / "docker" / "bundle":
        return command("foveal", "export", run, "--to", "docker")
    usual = "bundle" if kind == "onnx" else f"bundle-{kind}"
    to, out = ["--to", kind] if kind != "onnx" else [], ["--out", bundle] if bundle != run / usual else []
    return command("foveal", "export", run, *to, *out)
