"""Sums and means over the processes that train together; of one alone, what it has itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError

Made = TypeVar("Made")
_alone = False


def processes() -> int:
    """How many there are."""
    together = dist.is_available() and dist.is_initialized() and not _alone
    return dist.get_world_size() if together else 1


@contextmanager
def alone() -> Iterator[None]:
    """In the block, each process is one by itself: all do the same there, or one does what no other does."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def rank() -> int:
    """Which of them this one is: 0, 1, ..."""
    return dist.get_rank() if processes() > 1 else 0


def share(whole: Tensor) -> Tensor:
    """This process' part of something for all samples [processes * b, ...]: [b, ...]."""
    each = len(whole) // processes()
    return whole[rank() * each : (rank() + 1) * each]


@torch.no_grad()
def rows(tensor: Tensor, places: Tensor) -> Tensor:
    """Rows of every process' tensor [n, c], one behind the other, at ``places`` that all name alike."""
    if processes() == 1:
        return tensor[places]
    here = places - rank() * len(tensor)
    own = (here >= 0) & (here < len(tensor))
    found = torch.where(own[:, None], tensor[here.clamp(0, len(tensor) - 1)], 0)
    return add_up(found)


@torch.no_grad()
def add_up(tensor: Tensor) -> Tensor:
    """Make every process' tensor the sum of all, in place; no gradient passes."""
    if processes() > 1:
        dist.all_reduce(tensor)
    return tensor


def total(tensor: Tensor) -> Tensor:
    """The sum of every process' tensor; the gradient of each one's losses comes back to all."""
    if processes() == 1:
        return tensor
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(tensor.contiguous())


def mean(tensor: Tensor) -> Tensor:
    """The mean of every process' tensor, as :func:`total`."""
    return total(tensor) / processes()


@torch.no_grad()
def furthest(stop: bool, progress: float, device: torch.device) -> tuple[bool, float]:
    """The same decision in every process: one signal stops all, and the furthest clock counts."""
    if processes() == 1:
        return stop, progress
    own = torch.tensor([float(stop), progress], device=device, dtype=torch.float32)
    dist.all_reduce(own, op=dist.ReduceOp.MAX)
    return own[0].item() > 0, own[1].item()


def from_first(make: Callable[[], Made]) -> Made:
    """What the first process makes, and it alone, given to all; so is the error that it meets.

    Raises:
        SweettokError: what ``make`` raises.
    """
    if processes() == 1:
        return make()
    told: list[Any] = [None, None]
    if dist.get_rank() == 0:
        try:
            told[0] = make()
        except SweettokError as error:
            told[1] = error
    dist.broadcast_object_list(told, 0)
    if told[1] is not None:
        raise told[1]
    return told[0]


@torch.no_grad()
def take_from_first(module: nn.Module) -> None:
    """Make every process' module that of the first one."""
    if processes() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, 0)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all gradients; they have them for the same parameters."""
    if processes() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= processes()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
