"""Networks that are shared out among devices: each keeps a part of every weight (FSDP2).

Blocks are put together when they are needed and taken apart after; gradients, moments and averages exist in
parts only. Checkpoints hold whole tensors, as those of one process do, so that one can go on from what many
have written, and the other way round.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from sweettok_cli.training import collective
from sweettok_cli.training.blocks import Block


def shard(network: nn.Module, device: torch.device) -> None:
    """Leave each device a part of each weight of ``network``, which all processes have alike."""
    # Nothing is changed in place of what a block returns.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device.type, (collective.processes(),))
    apart = parse_flag_from_env("FSDP_RESHARD_AFTER_FORWARD", True)
    for block in list(network.modules()):
        if isinstance(block, Block):
            fully_shard(block, mesh=mesh, reshard_after_forward=apart)
    fully_shard(network, mesh=mesh)


def is_sharded(network: nn.Module) -> bool:
    """Whether :func:`shard` was here."""
    return isinstance(network, FSDPModule)


@contextmanager
def unsynced(network: nn.Module) -> Iterator[None]:
    """In the block, gradients of a sharded network are added up and not yet exchanged."""
    assert isinstance(network, FSDPModule)
    network.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        network.set_requires_gradient_sync(True)


def whole(state: Any) -> Any:
    """A state dict with tensors put together, on the CPU where they were not; for all processes to call."""
    if isinstance(state, DTensor):
        return state.full_tensor().cpu()
    if isinstance(state, dict):
        return {key: whole(value) for key, value in state.items()}
    return [whole(value) for value in state] if isinstance(state, list) else state


def parts(state: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict of whole tensors, each cut as that of its name in ``like`` is."""
    return {name: _part(value, like.get(name)) for name, value in state.items()}


def moments(state: dict[str, Any], groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An optimizer's state of whole tensors, cut as the parameters in its ``groups`` are."""
    learned = [parameter for group in groups for parameter in group["params"]]
    cut = {
        place: {
            name: _part(value, learned[place]) if value.shape == learned[place].shape else value
            for name, value in kept.items()
        }
        for place, kept in state["state"].items()
    }
    return {**state, "state": cut}


def _part(tensor: Any, like: Any) -> Any:
    if not isinstance(like, DTensor):
        return tensor
    # All have all of it: nothing needs to be sent.
    on_device = tensor.to(like.device)
    return distribute_tensor(on_device, like.device_mesh, like.placements, src_data_rank=None)


@torch.no_grad()
def clip_gradients(learned: Sequence[nn.Parameter], largest: float) -> Tensor:
    """Shorten the gradient of ``learned``, sharded or not, to this norm; returns what it was."""
    kinds = [
        [p for p in learned if p.grad is not None and isinstance(p, DTensor) is kind]
        for kind in (True, False)
    ]
    norms = [get_total_norm([cast(Tensor, p.grad) for p in kind]) for kind in kinds if kind]
    if not norms:  # of a critic that rests
        return torch.zeros((), device=learned[0].device)
    together = torch.stack([n.full_tensor() if isinstance(n, DTensor) else n for n in norms])
    norm = torch.linalg.vector_norm(together)
    if largest < math.inf:
        for kind in kinds:
            clip_grads_with_norm_(kind, largest, norm)
    return norm
