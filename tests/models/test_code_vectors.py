"""Code vectors of every family: the model finds each code again by where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import save_omnitokenizer, save_sweettok, save_vidtok

from sweettok_cli.models.sweettok.quantizer import nearest
from sweettok_cli.zoo.load import load


def test_sweettok(tmp_path: Path) -> None:
    save_sweettok(tmp_path)
    model = load(tmp_path, "cpu", "float32")
    found = model.code_vectors()
    sizes = {name: len(vectors) for name, vectors in found.items()}
    space, time = model.spec.codebooks["spatial"], model.spec.codebooks["temporal"]
    assert sizes == {"adjectives": space[0], "nouns": space[2], "adverbs": time[0], "verbs": time[2]}
    codes = model.network.quantize_spatial.codebook()  # type: ignore[attr-defined]
    for name, own in (("adjectives", codes.modifiers), ("nouns", codes.heads)):
        ids = nearest(found[name][None], own, 1)[0, :, 0]
        assert torch.equal(ids, torch.arange(len(own)))


@pytest.mark.parametrize("kind", ["omnitokenizer", "vidtok"])
def test_grids(tmp_path: Path, kind: str) -> None:
    if kind == "vidtok":
        save_vidtok(tmp_path, "vidtok-fsq-causal")
    else:
        save_omnitokenizer(tmp_path)
    model = load(tmp_path, "cpu", "float32")
    (vectors,) = model.code_vectors().values()
    network = model.network  # type: ignore[attr-defined]
    codes = torch.arange(len(vectors))
    if kind == "vidtok":
        # What comes before rounding is bounded by a tanh: the inverse of it gives each code back.
        levels = torch.tensor([8.0, 8.0, 8.0, 8.0])
        assert len(vectors) == int(levels.prod())
        assert torch.equal(network.quantizer.indices(_unbounded(vectors, levels)), codes)
    else:
        assert torch.equal(network.codebook.nearest(vectors[None])[0], codes)


def _unbounded(codes: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Latents that are rounded to FSQ codes of even ``levels`` (Mentzer et al., 2023)."""
    half = (levels - 1) * (1 + 1e-3) / 2
    shift = (0.5 / half).atanh()
    digits = codes * (levels // 2)
    return ((digits + 0.5) / half).atanh() - shift


@pytest.mark.parametrize("kind", ["omnitokenizer", "vidtok"])
def test_latents_have_none(tmp_path: Path, kind: str) -> None:
    if kind == "vidtok":
        save_vidtok(tmp_path, "vidtok-kl-causal")
    else:
        save_omnitokenizer(tmp_path, "kl")
    assert load(tmp_path, "cpu", "float32").code_vectors() == {}
