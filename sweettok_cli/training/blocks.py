"""Blocks: the parts that large networks have many of, by which a run saves memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    """One of many such parts in a row.

    What is computed inside it can be forgotten and computed again for the gradient (Chen et al., "Training
    Deep Nets with Sublinear Memory Cost", 2016); where a network is sharded, it is whole for a moment only.
    """

    recomputed = False

    def again(self, function: Callable[..., Any], *given: Any) -> Any:
        """What ``function`` makes of what it is ``given``; the way is not kept where :attr:`recomputed`."""
        if not (self.recomputed and torch.is_grad_enabled()):
            return function(*given)
        return checkpoint(function, *given, use_reentrant=False)


def compile_blocks(network: nn.Module) -> None:
    """Compile all blocks of a network with torch.compile, each when it is first used.

    Not the network as a whole: words on a graph are sparse, which the compiler does not know.
    """
    # Blocks share their code, and differ in what is compiled.
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(limit, 4 * len(blocks))
    # Tables are functions of their arguments alone.
    warnings.filterwarnings("ignore", "Dynamo detected a call to a `functools.lru_cache`")
    for block in blocks:
        block.compile()


def matrices(network: nn.Module) -> Iterator[Tensor]:
    """The weights of all linear maps inside the blocks of a network: what Muon is for."""
    for block in network.modules():
        if isinstance(block, Block):
            for part in block.modules():
                if isinstance(part, nn.Linear):
                    yield part.weight


def recompute(network: nn.Module) -> None:
    """Forget what is inside all blocks of a network, from now on."""
    for module in network.modules():
        if isinstance(module, Block):
            module.recomputed = True
