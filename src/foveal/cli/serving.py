"""The command that serves bundles."""

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.options import examples, option
from foveal.cli.stopping import stopped_with

__all__ = ["SERVE", "serve"]

SERVE = examples(
    "foveal serve runs/photos-1",
    "foveal serve cats=runs/cats-2/bundle dogs=runs/dogs-1/bundle-int8 --port 9000",
    "foveal serve bundle/ --host 0.0.0.0 --token-file token --workers 4",
)
REACH, LIMITS, SPEED = "Who may ask", "Limits: what is above is refused", "Speed"
MIB = 1 << 20

BUNDLES_HELP = "Folders of bundles, or of runs that were exported; NAME=PATH gives a model another name."
BUNDLES = Annotated[list[str], typer.Argument(metavar="BUNDLE…", help=BUNDLES_HELP)]

HOST_HELP = "To listen on. Any but 127.0.0.1, ::1 and localhost needs a token."
HOST = Annotated[str, option("--host", "ADDRESS", HOST_HELP, REACH, names=("127.0.0.1", "0.0.0.0", "::1", "::"))]
PORT = Annotated[int, option("--port", "N", "0 takes any that is free.", REACH, min=0, max=65535)]
TOKEN_HELP = "A file with what clients must send: Authorization: Bearer TOKEN."
TOKEN_FILE = Annotated[Path | None, option("--token-file", "FILE", TOKEN_HELP, REACH)]

WORKERS = Annotated[int, option("--workers", "N", "Processes that share the port.", SPEED, min=1, max=64)]
PROVIDER_HELP = "cpu, or cuda where onnxruntime-gpu is installed."
PROVIDER = Annotated[str, option("--device", "NAME", PROVIDER_HELP, SPEED, names=("auto", "cpu", "cuda"))]
THREADS_HELP = "Of ONNX Runtime, for each worker; the processors shared among the workers unless said."
THREADS = Annotated[int | None, option("--threads", "N", THREADS_HELP, SPEED, min=1)]
DECODERS = Annotated[int, option("--decoders", "N", "Threads that decode images, for each worker.", SPEED, min=1)]
BATCH = Annotated[int, option("--batch", "N", "Images of any clients in one run.", SPEED, min=1)]
WAIT = Annotated[float, option("--wait", "MS", "Time that a run waits for images being decoded.", SPEED, min=0)]

BODY = Annotated[float, option("--body", "MIB", "Of the body of a request.", LIMITS, min=0.001)]
MEMORY = Annotated[float, option("--memory", "MIB", "Of all bodies at one time.", LIMITS, min=0.001)]
MEGAPIXELS = Annotated[float, option("--megapixels", "N", "Of an image.", LIMITS, min=0.001)]
IMAGES = Annotated[int, option("--images", "N", "In a request.", LIMITS, min=1)]
QUEUE = Annotated[int, option("--queue", "N", "Images that wait or are being answered.", LIMITS, min=1)]
REQUESTS = Annotated[int, option("--requests", "N", "At one time.", LIMITS, min=1)]
CONNECTIONS = Annotated[int, option("--connections", "N", "At one time.", LIMITS, min=1)]
HEADER_SECONDS = Annotated[float, option("--header-seconds", "S", "For headers to arrive.", LIMITS, min=0.1)]
BODY_SECONDS = Annotated[float, option("--body-seconds", "S", "For a body to arrive.", LIMITS, min=0.1)]
ANSWER_SECONDS = Annotated[float, option("--answer-seconds", "S", "From then to the answer.", LIMITS, min=0.1)]


def serve(
    bundles: BUNDLES,
    host: HOST = "127.0.0.1",
    port: PORT = 8000,
    token_file: TOKEN_FILE = None,
    workers: WORKERS = 1,
    device: PROVIDER = "auto",
    threads: THREADS = None,
    decoders: DECODERS = 2,
    batch: BATCH = 32,
    wait: WAIT = 2.0,
    body: BODY = 16,
    memory: MEMORY = 256,
    megapixels: MEGAPIXELS = 32,
    images: IMAGES = 32,
    queue: QUEUE = 256,
    requests: REQUESTS = 128,
    connections: CONNECTIONS = 512,
    header_seconds: HEADER_SECONDS = 5,
    body_seconds: BODY_SECONDS = 10,
    answer_seconds: ANSWER_SECONDS = 10,
) -> None:
    """Answer over HTTP with bundles: /v1/predict, KServe V2, /metrics, and a page to drop images on. Logs are lines of
    JSON on stderr; SIGTERM ends it after what is under way, SIGHUP takes the bundles anew."""
    with stopped_with("It was not listening yet."):
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
        code = serve(places, settings)
    raise typer.Exit(code)
