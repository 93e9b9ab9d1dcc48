"""Where the network runs and in which precision; and what must be equal for a run to repeat bit by bit."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch

from foveal.data.memory import keep_freed_memory
from foveal.engine.team import join, local_rank
from foveal.errors import RecipeError
from foveal.nets import fused

__all__ = [
    "LONG",
    "LONG_MINUTES",
    "Device",
    "choose_device",
    "environment",
    "onto",
    "resolve_kernels",
    "resolve_precision",
]

LONG, LONG_MINUTES = 1e8, 1.0  # pixels seen, or minutes given, from which on it pays to load compiled kernels


@dataclass(frozen=True)
class Device:
    """A torch device with a name for people and the number of CPU threads."""

    torch: torch.device
    name: str
    threads: int


def choose_device(request: str = "auto", threads: int | None = None) -> Device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:1`, `mps`; sets torch's thread count when one is given.

    Of several processes on a machine each gets a GPU of its own.

    Raises:
        RecipeError: the device is unknown or not there.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    number = local_rank()
    if request == "auto":
        mps = torch.backends.mps.is_available() and number is None  # gloo does not speak for it
        request = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    if request == "cuda" and number is not None:
        request = f"cuda:{number}"
    try:
        device = torch.device(request)
        if device.type == "cuda" and number is not None:
            torch.cuda.set_device(device)  # NCCL speaks for the one that is set
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]  # torch's essays begin with what is wrong
        raise RecipeError(
            f"Expected a device that is here, got {request!r}: {reason}", remedy="Use --device cpu."
        ) from error
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # or two runs of one seed would differ
    if device.type == "cpu":
        keep_freed_memory()
        name = str(torch.cpu.get_capabilities().get("cpu_name", name))
    return Device(device, name, torch.get_num_threads())


def onto(numbers: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Numbers on their way from the CPU's memory to a device. For a GPU torch copies them aside at once, so that nobody
    waits for what the GPU still does."""
    return numbers.to(device, non_blocking=device.type == "cuda")


def resolve_precision(precision: str, device: Device) -> str:
    """`auto` to `bf16` where the device has instructions for it, otherwise `fp32`.

    Emulated bf16 on a CPU without them is several times slower than fp32.
    """
    if precision != "auto":
        return precision
    if device.torch.type == "cpu":
        has = torch.cpu.get_capabilities()
        return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"
    if device.torch.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16"
    return "fp32"


def resolve_kernels(kernels: str, precision: str, device: Device, pays: bool) -> str:
    """`fused` or `torch`.

    Args:
        precision: resolved.
        pays: whether training is long enough, where `auto` is asked for.

    Raises:
        RecipeError: they are asked for on a CPU, and the precision is not bf16 or numba is not there.
    """
    if device.torch.type != "cpu" or kernels == "torch":
        return "torch"
    if precision != "bf16":
        if kernels == "fused":
            raise RecipeError(
                f"kernels=fused is for bf16, and the precision is {precision}.",
                remedy="Use --set precision=bf16, or leave the work to torch: --set kernels=torch",
            )
        return "torch"
    if not pays and kernels == "auto":
        return "torch"
    if not fused.works() and kernels == "fused":
        raise RecipeError(
            "kernels=fused needs numba with its OpenMP threads, on Linux, and they cannot be loaded here.",
            remedy="Install it: pip install numba. Or leave the work to torch: --set kernels=torch",
        )
    return "fused" if fused.works() else "torch"


def environment(device: Device) -> dict[str, Any]:
    """What a bit-identical repetition needs to be equal, and what a reader of the report wants to know."""
    packages = ("foveal", "torch", "numpy", "pillow")
    return {
        "device": device.torch.type,
        "device_name": device.name,
        "threads": device.threads,
        "processes": join().size,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in packages},
        "numba": version("numba") if fused.there() else None,
    }
