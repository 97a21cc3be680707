"""Puts published tensors into a network, every one of them where its name says."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.metrics.base import NotMeasured
from sweettok_cli.weights_store.checkpoint_file import read_checkpoint

Network = TypeVar("Network", bound=nn.Module)

#: Counts training steps; older files lack it and nothing computed here depends on it.
_COUNTER = "num_batches_tracked"


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; nothing in the file is run.

    Raises:
        NotMeasured: the file cannot be read or holds no tensors.
    """
    try:
        return read_checkpoint(path).state
    except SweettokError as error:
        raise NotMeasured(str(error)) from error


def load_state(
    network: Network, state: dict[str, Tensor], path: Path, unused: tuple[str, ...] = ()
) -> Network:
    """The network with these weights, in evaluation mode and without gradients.

    Args:
        network: whose tensors all must be among ``state``.
        state: tensors by name.
        path: for messages.
        unused: beginnings of names in ``state`` that belong to parts the network leaves out.

    Raises:
        NotMeasured: a tensor is missing, unknown or of another shape.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(_COUNTER)]
    unknown = [
        name
        for name in state
        if name not in wanted and not name.startswith(unused or ("\0",)) and not name.endswith(_COUNTER)
    ]
    misfits = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    for names, words in ((missing, "lacks"), (unknown, "also holds"), (misfits, "has another shape of")):
        if names:
            raise NotMeasured(
                f"{path} is not the network it should be: it {words} {names[0]}"
                f"{f' and {len(names) - 1} more' if len(names) > 1 else ''}; fetch the published file."
            )
    network.load_state_dict({**wanted, **{name: state[name] for name in wanted if name in state}})
    return network.eval().requires_grad_(False)
