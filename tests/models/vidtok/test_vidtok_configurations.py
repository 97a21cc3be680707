"""Every published VidTok configuration, narrowed, through the interface: its grid, its length, its size."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import save_network

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok
from sweettok_cli.tokens import read_tokens, write_tokens
from sweettok_cli.zoo.catalogue import CATALOGUE
from sweettok_cli.zoo.load import load

COMPRESSIONS = {"488": (4, 8), "41616": (4, 16), "444": (4, 4), "288": (2, 8), "888": (8, 8)}  # time, space
NAMES = [model.name for model in CATALOGUE if model.family.startswith("vidtok")]


@pytest.mark.parametrize("name", NAMES)
def test_a_published_configuration(name: str, tmp_path: Path) -> None:
    published = VidTokConfig.from_name(name)
    config = dataclasses.replace(published, width=8, encoder_blocks=1, decoder_blocks=1)
    torch.manual_seed(0)
    save_network(tmp_path / name, f"vidtok-{config.regularizer}", VidTok(config), dataclasses.asdict(config))
    tokenizer = load(str(tmp_path / name), device="cpu")
    spec = tokenizer.spec

    _, _, order, compression, size, *_ = name.split("-")
    time, space = COMPRESSIONS[compression]
    first = int(order == "causal")
    steps = first + (spec.clip_frames - first) // time
    shape = (steps, 256 // space, 256 // space)
    if size.endswith("chn"):
        assert spec.clip_shapes(256, 256) == {"latents": (int(size.removesuffix("chn")), *shape)}
    else:
        assert spec.clip_shapes(256, 256) == {"indices": shape}
        assert spec.codebooks == {"indices": [int(size)]}

    source = np.random.default_rng(1).integers(0, 256, (21, 36, 52, 3), dtype=np.uint8)
    write_tokens(tmp_path / "a.npz", tokenizer.encode(source))
    decoded = tokenizer.decode(read_tokens(tmp_path / "a.npz"))
    assert decoded.shape == source.shape and decoded.std() > 1
