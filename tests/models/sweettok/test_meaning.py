"""Words that mean the like of each other lie near each other: what holds them, and what it comes to."""

from __future__ import annotations

import pytest
import torch
from small_network import small_config, small_network, smooth_clips, word_prior
from torch import Tensor

from sweettok_cli.models.sweettok.initialise import spread_words, start_codebook, start_words
from sweettok_cli.models.sweettok.meaning import Meaning, nearest_others, shared_neighbours
from sweettok_cli.models.sweettok.quantizer import Codebook, LanguageQuantizer


def quantizer(**changes: object) -> LanguageQuantizer:
    torch.manual_seed(0)
    config = small_config(**changes)
    return LanguageQuantizer(word_prior(300, 200, 8).spatial, config, config.spatial_code)


def latents(count: int = 2000) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(count, 7) * torch.tensor([2.0, 1.5, 1, 0.5, 1.5, 1, 0.5]) + 1


def kept(model: LanguageQuantizer) -> list[float]:
    meaning, codes = Meaning.of(model), model.codebook()
    pairs = (codes.modifiers, meaning.modifiers), (codes.heads, meaning.heads)
    return [shared_neighbours(found.detach(), near) for found, near in pairs]


def test_neighbours_are_the_nearest_others() -> None:
    torch.manual_seed(1)
    words = torch.randn(700, 5)  # more than are looked at together
    distances = torch.cdist(words, words).fill_diagonal_(torch.inf)
    assert nearest_others(words, 4).equal(distances.argsort(dim=1)[:, :4])
    assert nearest_others(words[:3], 4).shape == (3, 2)
    near = nearest_others(words, 4)
    assert shared_neighbours(words * 3 + 1, near) == 1
    assert shared_neighbours(words.roll(1, 0), near) < 0.05


def test_loss_is_least_where_neighbours_are_kept_and_draws_there() -> None:
    config = small_config()
    meaning = Meaning.of(LanguageQuantizer(word_prior(60, 40, 3).spatial, config, config.spatial_code))
    torch.manual_seed(2)
    codes = Codebook(torch.randn(60, 4, requires_grad=True), torch.randn(40, 3, requires_grad=True))
    optimizer = torch.optim.Adam([codes.modifiers, codes.heads], 0.05)
    before = shared_neighbours(codes.modifiers.detach(), meaning.modifiers)
    losses = []
    for _ in range(80):
        loss = meaning.loss(codes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = shared_neighbours(codes.modifiers.detach(), meaning.modifiers)
    assert losses[-1] < losses[0] - 1
    assert after > before + 0.2


def test_loss_does_not_ask_for_a_scale() -> None:
    meaning = Meaning.of(quantizer())
    torch.manual_seed(2)
    codes = Codebook(torch.randn(300, 4), torch.randn(200, 3))
    found = []
    for factor in (1.0, 100.0):
        torch.manual_seed(4)
        found.append(meaning.loss(Codebook(factor * codes.modifiers, factor * codes.heads)).item())
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_list_of_one_word_has_no_neighbours() -> None:
    torch.manual_seed(0)
    config = small_config(search=2)
    alone = LanguageQuantizer(word_prior(4, 2, 8).temporal, config, config.temporal_code)
    assert alone.sizes == (2, 2, 1)
    loss = Meaning.of(alone).loss(alone.codebook())
    assert torch.isfinite(loss)
    loss.backward()


def test_words_are_spread_as_latents_are_along_their_leading_directions() -> None:
    torch.manual_seed(0)
    words = torch.randn(500, 6) * torch.tensor([5.0, 3, 1, 0.5, 0.2, 0.1])
    wanted = latents()[:, :3]
    weight, bias, codes = spread_words(words, wanted, 1.0)
    torch.testing.assert_close(codes, words @ weight.T + bias)
    torch.testing.assert_close(codes.mean(dim=0), wanted.mean(dim=0))
    torch.testing.assert_close(torch.cov(codes.T), torch.cov(wanted.T), atol=1e-4, rtol=1e-4)
    leading = torch.corrcoef(torch.stack([words[:, 0], codes[:, 0]]))[0, 1]
    assert leading.abs() > 0.95


def test_offsets_begin_where_vectors_lead_and_polishing_keeps_neighbours() -> None:
    plain, free, held = (quantizer(word_offsets=flag) for flag in (False, True, True))
    for model, steps, neighbours in ((plain, 0, 0.0), (free, 0, 0.0), (held, 60, 0.05)):
        torch.manual_seed(5)
        start_codebook(model, latents(), steps, 512, neighbours)
    assert all(b > a for a, b in zip(kept(plain), kept(free), strict=True))
    assert all(b > a for a, b in zip(kept(free), kept(held), strict=True))


def error(model: LanguageQuantizer, z: Tensor) -> float:
    with torch.no_grad():
        return (model.eval()(z.unsqueeze(0)).vectors[0] - z).square().mean().item()


def test_polishing_brings_codes_to_latents() -> None:
    model, z = quantizer(word_offsets=True), latents()
    start_codebook(model, z, 0, 512)
    before = error(model, z)
    start_codebook(model, z, 60, 512)
    assert error(model, z) < 0.8 * before


def test_words_of_a_trained_network_are_laid_out_among_its_latents() -> None:
    network = small_network(word_prior(200, 120, 24), code_dim=24, word_offsets=True)
    torch.manual_seed(6)
    video = smooth_clips(8)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start_words(network, video, 20, 0.02, rows=128)
    changed = {name for name, tensor in network.state_dict().items() if not tensor.equal(before[name])}
    assert changed
    assert all(name.startswith(("quantize_spatial.", "quantize_temporal.")) for name in changed)
    grid = network.config.patch_grid(64, 64)
    with torch.no_grad():
        z = network.spatial_latents(network.encoder.embed(video), grid)[0]
        chosen = network.quantize_spatial(z)
    assert (chosen.vectors - z).square().mean() < 0.4 * z.var(dim=(0, 1)).mean()
