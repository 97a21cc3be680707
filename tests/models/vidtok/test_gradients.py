"""What training adds to the network: gradients through tokens, learned vectors, presets."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sweettok_cli.models.vidtok.config import SMALL, VidTokConfig, describe_config, make_config
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer, VectorQuantizer

TINY = dataclasses.replace(SMALL, width=8, multipliers=(1, 1, 2, 2), channels=3)


@pytest.mark.parametrize("kind", ["fsq", "vq", "kl"])
def test_forward_is_encoding_and_decoding_with_gradients(kind: str) -> None:
    torch.manual_seed(0)
    model = VidTok(dataclasses.replace(TINY, regularizer=kind)).eval()
    video = torch.rand(2, 3, 5, 16, 16) * 2 - 1
    found = model(video, step=0)
    tokens = model.encode(video)
    if kind == "kl":
        assert found.indices is None
        tokens = tokens.mean  # type: ignore[union-attr]
    else:
        assert torch.equal(found.indices, tokens)
    assert torch.allclose(found.reconstruction, model.decode(tokens, 5), atol=1e-6)
    assert model(video).loss is None and found.loss.ndim == 0
    found.reconstruction.square().mean().backward()
    assert model.encoder.conv_in.conv.weight.grad.abs().max() > 0
    drawn = [model.train()(video).reconstruction for _ in range(2)]
    assert torch.equal(*drawn) == (kind != "kl"), "latents are drawn in training alone"


def test_fsq_passes_the_gradient_of_what_it_rounds() -> None:
    quantizer = FiniteScalarQuantizer((8, 8, 5))
    latents = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    codes, indices = quantizer.quantize(latents)
    assert torch.equal(codes, quantizer.indices_to_codes(indices))
    weights = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    (codes * weights).sum().backward()
    again = latents.detach().requires_grad_()
    (quantizer.bound(again) / torch.tensor([4, 4, 2]) * weights).sum().backward()
    assert torch.allclose(latents.grad, again.grad) and latents.grad.abs().min() > 0  # type: ignore[union-attr]


def test_vq_is_the_nearest_vector_and_both_are_drawn_together() -> None:
    torch.manual_seed(0)
    quantizer, latents = VectorQuantizer(64, 3), torch.randn(2, 5, 3, requires_grad=True)
    codes, indices = quantizer.quantize(latents)
    expected = torch.cdist(latents.flatten(0, 1), quantizer.codes).argmin(-1).view(2, 5)
    assert torch.equal(indices, expected) and torch.equal(codes, quantizer.codes[expected])
    codes.sum().backward()
    assert torch.equal(latents.grad, torch.ones_like(latents)) and quantizer.codes.grad is None  # type: ignore[arg-type]
    latents.grad = None
    quantizer.loss(latents, 0).backward()
    apart = (latents - quantizer.codes[expected]).detach() * 2 / latents.numel()
    assert torch.allclose(latents.grad, 0.25 * apart)  # type: ignore[arg-type]
    pulled = torch.zeros_like(quantizer.codes).index_add(0, expected.flatten(), -apart.flatten(0, 1))
    assert torch.allclose(quantizer.codes.grad, pulled)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"not in 0\.\.63"):
        quantizer.indices_to_codes(torch.tensor([64]))


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        VidTokConfig.from_name("vidtok-vq-causal-488-4096"),
        VidTokConfig.from_name("vidtok-kl-causal-41616-4chn-v1.1"),
        VidTokConfig(
            spatial_down=(0, 1), spatial_up=(1, 3), temporal_down=(), temporal_up=(), mixing="fixed"
        ),
    ],
)
def test_a_recipe_describes_any_network(config: VidTokConfig) -> None:
    table = describe_config(config)
    assert make_config(table) == config
    assert table["preset"] == "vidtok-small" or len(table) < 4
