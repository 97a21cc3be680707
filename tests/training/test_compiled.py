"""Compiled blocks have the gradients of plain ones, alone and in every way of training together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from small_network import small_network

from sweettok_cli.models.vidtok.blocks import ResidualBlock
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory
from sweettok_cli.training.blocks import Block
from tests.training.launching import launch

COMPILED = """
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sweettok_cli.models.vidtok.blocks import ResidualBlock
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory
from sweettok_cli.training.blocks import compile_blocks, recompute
from sweettok_cli.training.sharding import shard


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.block = ResidualBlock.volume(VidTokConfig(regularizer="fsq", channels=4, width=8), 8)

    def forward(self, x):
        memory = FrameMemory()
        return torch.cat([self.block(piece, memory) for piece in x.split(2, 1)], 1)


def gradients(network, run, x):
    run(x).square().mean().backward()
    return [getattr(p.grad, "full_tensor", lambda p=p: p.grad)() for p in network.parameters()]


dist.init_process_group("gloo")
torch.manual_seed(0)
x = torch.randn(2, 4, 8, 8, 8)
plain = Network()
wanted = gradients(plain, plain, x)
for sharded in (False, True):
    for again in (False, True):
        network = Network()
        if again:
            recompute(network)
        if sharded:
            shard(network, torch.device("cpu"))
        compile_blocks(network)
        assert network.block._compiled_call_impl is not None
        run = network if sharded else DistributedDataParallel(network)
        found = gradients(network, run, x[dist.get_rank()][None])
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
dist.barrier()  # who leaves first takes nothing from under the other
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_compiled_blocks_learn_the_same_with_ddp_and_fsdp(tmp_path: Path) -> None:
    (tmp_path / "compiled.py").write_text(COMPILED)
    launch(["--multi_gpu"], str(tmp_path / "compiled.py"), folder=tmp_path)


def in_pieces(block: Callable[..., torch.Tensor], pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    memory = FrameMemory()
    return torch.cat([block(piece, memory) for piece in pieces], 1)


def test_compiled_blocks_take_samples_of_other_sizes() -> None:
    """From the second on, the compiler knows no sizes; only traced here, as generating code takes minutes."""
    torch.manual_seed(0)
    block = ResidualBlock.volume(VidTokConfig(regularizer="fsq", channels=4, width=8), 8)
    traced = torch.compile(block, backend="eager", fullgraph=True)
    for frames, side in ((4, 8), (5, 12), (6, 16)):
        pieces = torch.randn(1, frames, side, side, 8).split(2, 1)
        found, wanted = (in_pieces(each, pieces) for each in (traced, block))
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_compiled_blocks_evaluate_without_a_gradient() -> None:
    """A compiler is not shown what evaluation on a processor does in ways of its own."""
    network = small_network().eval()
    video = torch.rand(1, 3, 17, 128, 128) - 0.5
    with torch.inference_mode():
        wanted = network.encode(video)
        for block in network.modules():
            if isinstance(block, Block):
                block.compile(backend="eager")
        found = network.encode(video)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
