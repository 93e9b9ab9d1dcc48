"""Several processes that train one network together, started by torchrun: what they say to each other.

Every process runs the same loop on its part of each batch. The first one, the lead, also owns the run's folder and
speaks to the user; the others follow it. A training in one process is a team of one, where nothing here does anything.

What goes over the wire are tensors; torch's own ways of sending objects would pickle them.
"""

import atexit
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from foveal.errors import LeadEnded, ProcessLost, RunError

__all__ = ["ALONE", "Team", "join", "local_rank"]

# The others wait for the lead as long as it takes to decode all images. A process that dies is noticed at once: its
# connections close.
PATIENCE = timedelta(days=7)

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """One process's place among those that train together.

    Every method that speaks must be called by all processes in the same order. All raise ProcessLost where another
    process has ended.

    Args:
        rank: its number, from 0; 0 leads.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def lead(self) -> bool:
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's rows of `count`: they lie one after another, and none has two more than another."""
        return _part(count, self.rank, self.size)

    def taken(self, count: int) -> slice:
        """The rows to work on: this process's part, or where that is empty the first row of all, which then counts
        for nothing. Not every layer takes a batch without images."""
        part = self.part(count)
        return part if part.stop > part.start else slice(0, 1)

    @contextmanager
    def after_lead(self) -> Iterator[None]:
        """The block is the lead's turn first; the others begin theirs when it is done.

        Raises:
            LeadEnded: the lead failed in it, in a process that follows.
        """
        if self.size == 1:
            yield
            return
        if not self.lead:
            self.go_on()
            yield
            return
        try:
            yield
        except Exception:
            self.dismiss()
            raise
        self.go_on()

    def go_on(self) -> None:
        """The lead tells the others to go on; they wait for its word.

        Raises:
            LeadEnded: the lead has dismissed the others.
        """
        if self.size > 1 and not self._told(1):
            raise LeadEnded("The first process has stopped, and has said why.")

    def dismiss(self) -> None:
        """The lead's other word: the others end where they wait for it."""
        if self.size > 1:
            with suppress(ProcessLost):
                self._told(0)

    def tell(self, text: str) -> str:
        """The lead's text, which is not empty, in every process."""
        if self.size == 1:
            return text
        data = text.encode()
        word = bytearray(self._told(len(data)))
        if self.lead:
            word[:] = data
        _speak(lambda: dist.broadcast(torch.frombuffer(word, dtype=torch.uint8), src=0))
        return word.decode()

    def agree(self, text: str, what: str) -> None:
        """
        Raises:
            RunError: a process that follows has another text than the lead; `what` names it.
        """
        if self.tell(text) != text:
            raise RunError(
                f"The first process and process {self.rank} differ in {what}.",
                remedy="Give every process the same command, the same images, and on several machines a shared folder "
                "for the run.",
            )

    def sum(self, number: float) -> float:
        """Over all processes."""
        if self.size == 1:
            return number
        total = torch.tensor(number, dtype=torch.float64)
        self.add_up(total)
        return float(total)

    def add_up(self, tensor: Tensor) -> None:
        """Put the sum over all processes in a contiguous tensor's place."""
        _speak(lambda: dist.all_reduce(tensor))

    def every(self, tensor: Tensor) -> Tensor:
        """(size, …) of tensors that have the same shape in all processes."""
        said = tensor.contiguous()
        heard = [torch.empty_like(said) for _ in range(self.size)]
        _speak(lambda: dist.all_gather(heard, said))
        return torch.stack(heard)

    def gather(self, mine: Tensor, count: int) -> Tensor:
        """(count, …) from the rows that `part` gave to each process."""
        if self.size == 1:
            return mine
        most = -(-count // self.size)
        padded = mine.new_zeros(most, *mine.shape[1:])
        padded[: len(mine)] = mine
        parts = [_part(count, rank, self.size) for rank in range(self.size)]
        return torch.cat([rows[: part.stop - part.start] for rows, part in zip(self.every(padded), parts)])

    @torch.no_grad()
    def add_up_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Give every parameter the sum of its gradients; all parameters travel as one tensor a type."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
            alike = [gradient for gradient in gradients if gradient.dtype == dtype]
            flat = torch.cat([gradient.flatten() for gradient in alike])
            self.add_up(flat)
            for gradient, total in zip(alike, flat.split([gradient.numel() for gradient in alike])):
                gradient.copy_(total.view(gradient.shape))

    @torch.no_grad()
    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Give the lead's values to the same tensors of all others."""
        if self.size == 1:
            return
        for tensor in tensors:
            value = tensor.contiguous()
            _speak(lambda value=value: dist.broadcast(value, src=0))
            tensor.copy_(value)

    def _told(self, number: int) -> int:
        """The lead's number."""
        word = torch.tensor(number)
        _speak(lambda: dist.broadcast(word, src=0))
        return int(word)


ALONE = Team()


@cache
def join() -> Team:
    """The team that torchrun made, once every process has come; a team of one where this process is on its own.

    Raises:
        ProcessLost: the others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "MASTER_ADDR" not in os.environ:
        return ALONE
    # Without a backend named, torch takes gloo for what lies on the CPU and, where there is CUDA, NCCL for the rest.
    _speak(lambda: dist.init_process_group(timeout=PATIENCE))
    atexit.register(dist.destroy_process_group)
    return Team(int(os.environ["RANK"]), size)


def local_rank() -> int | None:
    """This process's number on this machine, from 0; None for a process on its own."""
    return int(os.environ.get("LOCAL_RANK", "0")) if join().size > 1 else None


def _part(count: int, rank: int, size: int) -> slice:
    each, more = divmod(count, size)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))


def _speak(say: Callable[[], T]) -> T:
    """
    Raises:
        ProcessLost: torch cannot reach a process; it says so with a RuntimeError.
    """
    try:
        return say()
    except RuntimeError as error:
        reason = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0]).partition(". ")[0]  # without gloo's file and line
        raise ProcessLost(
            f"Another process of this training ended or cannot be reached ({reason}).",
            remedy="Its own message, if it left one, says why. Go on with: torchrun … -m foveal resume RUN",
        ) from error
