"""Sums and means over the processes that train together; of one alone, what it has itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError

Made = TypeVar("Made")


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def total(tensor: Tensor) -> Tensor:
    """The sum of every process' tensor; the gradient of each one's losses comes back to all."""
    if processes() == 1:
        return tensor
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(tensor.contiguous())


def mean(tensor: Tensor) -> Tensor:
    """The mean of every process' tensor, as :func:`total`."""
    return total(tensor) / processes()


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
    for tensor in module.state_dict().values():
        as_in_first(tensor)


def as_in_first(tensor: Tensor) -> Tensor:
    """A tensor, filled with what it holds in the first process."""
    if processes() > 1:
        dist.broadcast(tensor, 0)
    return tensor


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
