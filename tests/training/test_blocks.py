"""Blocks whose values are computed again: the same gradients, and less that is kept for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from small_models import OMNI
from small_network import small_network
from torch import Tensor, nn

from sweettok_cli.models.omnitokenizer.network import OmniConfig, OmniTokenizer
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.training.blocks import Block, recompute

Network = tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]


def sweettok() -> Network:
    return small_network(), lambda network, video: network(video).reconstruction


def omnitokenizer() -> Network:
    def there_and_back(network: nn.Module, video: Tensor) -> Tensor:
        assert isinstance(network, OmniTokenizer)
        return network.decode_vectors(network.latents(video))

    return OmniTokenizer(OmniConfig(**OMNI)), there_and_back  # type: ignore[arg-type]


def vidtok(**changes: object) -> Network:
    thin = {"width": 8, "encoder_blocks": 1, "decoder_blocks": 1}
    config = VidTokConfig(**{"regularizer": "fsq", "channels": 4, **thin, **changes})  # type: ignore[arg-type]
    return VidTok(config), lambda network, video: network(2 * video).reconstruction


NETWORKS = {
    "sweettok": sweettok,
    "omnitokenizer": omnitokenizer,
    "vidtok causal": vidtok,
    "vidtok not causal": lambda: vidtok(causal=False),
    "vidtok 1.1": lambda: vidtok(version="1.1"),
}


@contextmanager
def remembered() -> Iterator[dict[int, int]]:
    """Bytes that the block keeps for gradients, by where they lie."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.layout == torch.strided:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield sizes


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_computed_again_has_the_same_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Groups of a few frames: what a block remembers of those before has a gradient, too.
    monkeypatch.setattr("sweettok_cli.models.vidtok.autoencoder.GROUP_SIZE", 1)
    torch.manual_seed(0)
    network, apply = NETWORKS[name]()
    frames, side = {"vidtok": (9, 32), "sweettok": (17, 64), "omnitokenizer": (5, 64)}[name.split()[0]]
    video = torch.rand(1, 3, frames - ("not" in name), side, side) - 0.5
    kept: list[int] = []
    found = []
    for again in (False, True):
        if again:
            recompute(network)
        network.zero_grad()
        with remembered() as sizes:
            loss = apply(network, video).square().mean()
        kept.append(sum(sizes.values()))
        loss.backward()
        found.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert any(isinstance(module, Block) and module.recomputed for module in network.modules())
    assert len(found[0]) == len(found[1]) > 20
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert any(gradient.abs().max() > 0 for gradient in found[0])
    assert kept[1] < 0.6 * kept[0]
