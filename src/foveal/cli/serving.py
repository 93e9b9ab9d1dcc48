"""The command that serves bundles."""

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.options import completed, examples

__all__ = ["SERVE", "serve"]

SERVE = examples(
    "foveal serve runs/photos-1",
    "foveal serve cats=runs/cats-2/bundle dogs=runs/dogs-1/bundle-int8 --port 9000",
    "foveal serve bundle/ --host 0.0.0.0 --token-file token --workers 4",
)
REACH, LIMITS, SPEED = "Who may ask", "Limits: what is above is refused", "Speed"
MIB = 1 << 20


def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE…",
            help="Folders of bundles, or of runs that were exported; NAME=PATH gives a model another name.",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="To listen on. Any but 127.0.0.1, ::1 and localhost needs a token.",
            autocompletion=completed("127.0.0.1", "0.0.0.0", "::1", "::"),
            rich_help_panel=REACH,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="0 takes any that is free.", rich_help_panel=REACH)
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="A file with what clients must send: Authorization: Bearer TOKEN.",
            rich_help_panel=REACH,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Processes that share the port.", rich_help_panel=SPEED)
    ] = 1,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="cpu, or cuda where onnxruntime-gpu is installed.",
            autocompletion=completed("auto", "cpu", "cuda"),
            rich_help_panel=SPEED,
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Of ONNX Runtime, for each worker; the processors shared among the workers unless said.",
            rich_help_panel=SPEED,
        ),
    ] = None,
    decoders: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Threads that decode images, for each worker.", rich_help_panel=SPEED),
    ] = 2,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images of any clients in one run.", rich_help_panel=SPEED)
    ] = 32,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="MS",
            min=0,
            help="Time that a run waits for images that are being decoded.",
            rich_help_panel=SPEED,
        ),
    ] = 2.0,
    body: Annotated[
        float, typer.Option(metavar="MIB", min=0.001, help="Of the body of a request.", rich_help_panel=LIMITS)
    ] = 16,
    memory: Annotated[
        float, typer.Option(metavar="MIB", min=0.001, help="Of all bodies at one time.", rich_help_panel=LIMITS)
    ] = 256,
    megapixels: Annotated[
        float, typer.Option(metavar="N", min=0.001, help="Of an image.", rich_help_panel=LIMITS)
    ] = 32,
    images: Annotated[int, typer.Option(metavar="N", min=1, help="In a request.", rich_help_panel=LIMITS)] = 32,
    queue: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Images that wait or are being answered.", rich_help_panel=LIMITS),
    ] = 256,
    requests: Annotated[int, typer.Option(metavar="N", min=1, help="At one time.", rich_help_panel=LIMITS)] = 128,
    connections: Annotated[int, typer.Option(metavar="N", min=1, help="At one time.", rich_help_panel=LIMITS)] = 512,
    header_seconds: Annotated[
        float,
        typer.Option("--header-seconds", metavar="S", min=0.1, help="For headers to arrive.", rich_help_panel=LIMITS),
    ] = 5,
    body_seconds: Annotated[
        float,
        typer.Option("--body-seconds", metavar="S", min=0.1, help="For a body to arrive.", rich_help_panel=LIMITS),
    ] = 10,
    answer_seconds: Annotated[
        float,
        typer.Option("--answer-seconds", metavar="S", min=0.1, help="From then to the answer.", rich_help_panel=LIMITS),
    ] = 10,
) -> None:
    """Answer over HTTP with bundles: /v1/predict, KServe V2, /metrics, and a page to drop images on. Logs are lines of
    JSON on stderr; SIGTERM ends it after what is under way, SIGHUP takes the bundles anew."""
    from foveal.server import Limits, Settings
    from foveal.server.launch import serve
    from foveal.server.logs import log
    from foveal.server.places import places_of
    from foveal.server.settings import read_token

    places = places_of(bundles)
    token, warning = read_token(token_file) if token_file else ("", "")
    if warning:
        log("token", "warning", message=warning)
    limits = Limits(
        body=int(body * MIB),
        memory=int(memory * MIB),
        megapixels=megapixels,
        images=images,
        header_seconds=header_seconds,
        body_seconds=body_seconds,
        answer_seconds=answer_seconds,
        queue=queue,
        requests=requests,
        connections=connections,
        batch=batch,
        wait=wait / 1000,
        decoders=decoders,
    )
    settings = Settings(host, port, token, workers, device, threads, limits)
    raise typer.Exit(serve(places, settings))
