"""What a run will be, before it is one: how much of the network learns, and how much memory it takes."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from sweettok_cli.training.blocks import matrices
from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.task import Kind, Task

METHOD = (
    "activations are what a forward of one sample and of two (of one, where that takes long) keeps for its "
    "backward, extended to the batch; all else is counted"
)

# What the C library's heap takes beside the activations on processors: with it, runs of sweettok-small and
# vidtok-small needed 1.1 to 1.3 times what is forecast.
_HOLES = 0.5
_PATIENCE = 20.0  # seconds of a forward of one sample, after which two are not tried


@dataclass(frozen=True)
class Part:
    """A part of what is trained: how many of its parameters learn, and how many do not."""

    name: str
    learned: int
    frozen: int


@dataclass(frozen=True)
class Memory:
    """Bytes that a process needs while it trains, by what for; of its device, and beside that."""

    device: Mapping[str, int]
    host: Mapping[str, int]
    largest: str = ""  # samples that need the most
    total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(self.device.values()))


def parts_of(task: Task) -> list[Part]:
    """The network by its first names, then what learns beside it, then what only helps."""
    found = [_part(name, module.parameters()) for name, module in task.model.named_children()]
    own = [p for name, p in task.model.named_parameters() if "." not in name]
    found += [_part("other", own)] if own else []
    beside = {**task.critics, **task.helpers}
    found += [_part(name, module.parameters()) for name, module in beside.items()]
    return [part for part in found if part.learned + part.frozen]


def memory_of(task: Task, trained: nn.Module, device: torch.device, before: int) -> Memory:
    """What one process needs, once the task is built.

    Args:
        task: on the device that it will compute on.
        trained: its model, wrapped as it will be.
        device: that.
        before: bytes that this process had before it built anything.
    """
    networks = [task.model, *task.critics.values(), *task.helpers.values()]
    held = list(_tensors(networks))
    learned = sum(
        p.numel() * p.element_size() for part in networks for p in part.parameters() if p.requires_grad
    )
    one_moment = matrices(task.model) if task.recipe.optimizer == "muon" else ()
    of_muon = sum(p.numel() * p.element_size() for p in one_moment if p.requires_grad)
    sizes = {kind.title: _activations(task, trained, held, kind) for kind in task.kinds()}
    largest = max(sizes, key=lambda name: sizes[name][0])
    activations, batch = sizes[largest]
    on_device = {
        "weights": sum(map(_bytes, held)),
        "averages": sum(map(_bytes, _tensors([task.model]))),
        "gradients": learned,
        "moments": 2 * learned - of_muon,
        "activations": activations,
    }
    host = {"program": before, "batches": (task.recipe.prefetch + 1) * batch}
    if device.type == "cpu":
        heap = {"holes of the heap": round(_HOLES * activations)}
        return Memory(on_device | heap | host, {}, largest)
    return Memory(on_device, host, largest)


def _part(name: str, parameters: Iterable[nn.Parameter]) -> Part:
    counts = [0, 0]
    for parameter in parameters:
        counts[not parameter.requires_grad] += parameter.numel()
    return Part(name, *counts)


def _tensors(modules: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Parameters and buffers, each once."""
    seen: set[int] = set()
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _phases(recipe: Recipe) -> set[int]:
    """Steps at which a run's losses are of different kinds: the first, and one when all have begun."""
    proxy = int(recipe.proxy * recipe.steps)
    late = max(proxy, recipe.discriminator_start if recipe.adversarial else 0)
    return {0, min(late, recipe.steps - 1)}


def _activations(task: Task, trained: nn.Module, held: list[Tensor], kind: Kind) -> tuple[int, int]:
    """Bytes that a batch's forward keeps, and bytes of the batch itself."""

    def kept(count: int, step: int) -> int:
        batch = kind.made_up(count)
        for keeping in (False, True):
            counter = _Kept(held, keeping)
            with suppress(_DroppedError), saved_tensors_hooks(counter.pack, counter.unpack):
                task.losses(trained, batch, step)
                return counter.bytes
        raise AssertionError("what is kept is never missed")

    found = []
    for step in sorted(_phases(task.recipe)):
        begun = time.perf_counter()
        one = kept(1, step)
        late = time.perf_counter() - begun > _PATIENCE
        each = one if late or kind.samples == 1 else max(0, kept(2, step) - one)
        found.append(one + (kind.samples - 1) * each)
    return max(found), kind.samples * kind.sample_bytes


class _DroppedError(Exception):
    """A forward wants what was only counted: losses that ask for gradients of their own."""


class _Kept:
    """Counts what a forward keeps for its backward, each block of memory once, and need not keep it."""

    def __init__(self, held: Iterable[Tensor], keeping: bool) -> None:
        self.bytes, self._keeping = 0, keeping
        self._seen = {tensor.untyped_storage()._cdata for tensor in held}

    def pack(self, tensor: Tensor) -> Any:
        """In the tensor's place."""
        if tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._seen:
                self._seen.add(storage._cdata)
                self.bytes += storage.nbytes()
                weakref.finalize(storage, self._seen.discard, storage._cdata)  # another may lie there next
        return tensor.detach() if self._keeping else None

    def unpack(self, kept: Any) -> Tensor:
        """The tensor."""
        if kept is None:
            raise _DroppedError
        return kept
