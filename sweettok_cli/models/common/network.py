"""A network out of a model folder: laid out on the "meta" device, then filled with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.published_names import listed
from sweettok_cli.storage.model_folder import WRITE_AGAIN, check_finite

Network = TypeVar("Network", bound=nn.Module)

_DRAWING = {
    *(torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.__rmul__, torch.Tensor.mul),
    nn.functional.normalize,
}


class _Undrawn(TorchFunctionMode):
    """Draws and scales nothing on "meta", where it would only make Torch load its compiler, for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        filled = args[0] if args else kwargs.get("tensor")
        if isinstance(filled, Tensor) and filled.is_meta:
            if func in _DRAWING or getattr(func, "__module__", "") == "torch.nn.init":
                return filled
        elif func is torch.randn and "device" not in kwargs:
            func = torch.empty
        return func(*args, **kwargs)


def lay_out(build: Callable[[], Network]) -> Network:
    """The network that ``build`` makes, on the "meta" device: names and shapes, no memory, nothing drawn."""
    with torch.device("meta"), _Undrawn():
        return build()


def fill(build: Callable[[], Network], state: Mapping[str, Tensor], folder: Path) -> Network:
    """The network that ``build`` makes, on the CPU and in training mode, with the weights ``state``.

    Names and shapes are compared first. No memory is taken, and no random number drawn, for weights that are
    replaced at once. Buffers that are not among the weights must be made on ``device="cpu"``. Weights take
    the number formats of the network.

    Raises:
        SweettokError: the weights do not fit the network, or are not finite; ``folder`` is where they were
            read.
    """
    network = lay_out(build)
    own = network.state_dict()
    odd = {"missing": own.keys() - state.keys(), "unknown": state.keys() - own.keys()}
    problems = [f"{kind} {listed(names, 3)}" for kind, names in odd.items() if names]
    for name in own.keys() & state.keys():
        if state[name].shape != own[name].shape:
            problems.append(f"{name} is {list(state[name].shape)}, not {list(own[name].shape)}")
    if problems:
        raise SweettokError(
            f"The weights of {folder} do not fit its configuration ({'; '.join(sorted(problems)[:3])}); "
            f"{WRITE_AGAIN}."
        )
    check_finite(state, str(folder))
    network.load_state_dict({name: state[name].to(tensor.dtype) for name, tensor in own.items()}, assign=True)
    return network
