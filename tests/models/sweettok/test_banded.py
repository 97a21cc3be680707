"""Large frames in bands of tiles: the same tokens and the same pixels as whole frames, bit for bit."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch
from small_network import small_network, word_prior

from sweettok_cli.models.common.bands import Bands, among_neighbours, recut
from sweettok_cli.models.common.tiles import TileGrid
from sweettok_cli.models.sweettok import banded
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.tokenizer import SweetTokTokenizer
from sweettok_cli.tokens.layout import TiledTokens, TokenizerSpec

MOTIONS: list[dict[str, Any]] = [
    {},
    {"motion": "differences", "encoder_temporal": "t"},
    {"motion": "differences", "encoder_temporal": "as"},
]


def lively_network(**changes: Any) -> SweetTok:
    """A network none of whose layers starts as the identity."""
    network = small_network(**changes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.freeze_codebook()
    return network


@pytest.mark.parametrize("changes", MOTIONS, ids=["residual", "differences", "windows"])
@pytest.mark.parametrize("frames", [1, 17])
@pytest.mark.parametrize("rows", [(8, 8, 8, 8), (16, 8, 8), (8, 8, 16)])
def test_bands_give_what_whole_frames_give(
    changes: dict[str, Any], frames: int, rows: tuple[int, ...]
) -> None:
    network, video = lively_network(**changes), torch.rand(2, 3, frames, 256, 128) - 0.5
    bands = Bands(network.config.patch_grid(256, 128), rows)
    with torch.inference_mode():
        ids = network.encode(video)
        found = banded.encode_bands(network, bands, video.split([8 * r for r in rows], 3), frames == 1)
        assert found.spatial.equal(ids.spatial) and found.temporal.equal(ids.temporal)
        parts = list(banded.decode_bands(network, bands, *ids, frames))
        assert max(part.shape[3] for part in parts) <= 8 * max(rows)
        assert torch.cat(parts, dim=3).equal(network.decode(*ids, 256, 128))


@pytest.mark.parametrize("overlap", [0, 4])
def test_odd_sizes_through_the_tokenizer(overlap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, words = lively_network(), word_prior()
    codebooks = {
        half: [len(graph.modifiers), len(graph.modifiers), len(graph.heads)]
        for half, graph in (("spatial", words.spatial), ("temporal", words.temporal))
    }
    spec = TokenizerSpec("small", codebooks=codebooks, weights_sha256="ab" * 32, layout=TiledTokens())
    tokenizer = SweetTokTokenizer(spec, network, words, torch.device("cpu"), torch.float32)
    video = np.random.default_rng(0).integers(0, 256, (20, 187, 93, 3), dtype=np.uint8)
    whole = tokenizer.encode(video, overlap=overlap)
    decoded = tokenizer.decode(whole)
    monkeypatch.setattr(banded, "MOST_NUMBERS", 1)
    asked: list[int] = []
    cut = banded.encode_bands
    monkeypatch.setattr(
        "sweettok_cli.models.sweettok.tokenizer.encode_bands",
        lambda network, bands, *rest, **more: (
            asked.append(len(bands.rows)) or cut(network, bands, *rest, **more)
        ),
    )
    tokens = tokenizer.encode(video, overlap=overlap)
    assert asked == [3, 3]
    for name, array in whole.arrays.items():
        assert np.array_equal(tokens.arrays[name], array)
    assert np.array_equal(tokenizer.decode(tokens), decoded)
    clips = video[None, :17, :64, :64].repeat(2, axis=2)
    arrays = tokenizer.encode_clips(clips)
    assert tokenizer.decode_clips(arrays, 128, 64).shape == clips.shape


def test_networks_that_need_whole_frames_are_given_them() -> None:
    small = small_network()
    assert banded.choose_bands(small, 1, 17, 128, 128) is None  # one band would do
    assert banded.choose_bands(small, 1, 17, 64 * 9, 64 * 80) is not None
    for changes in ({"scrambled": True}, {"proxy_codes": 8}):
        assert not small_network(**changes).config.bandable


def test_bands_are_whole_tiles_of_about_one_size() -> None:
    grid = TileGrid(80, 24, 8, 8)
    for most in (1, 2000, 7000, 10**9):
        rows = Bands.cut(grid, 10, most).rows
        assert sum(rows) == 80 and not any(row % 8 for row in rows) and max(rows) - min(rows) <= 8
        assert all(row == 8 or row * 24 * 10 <= most for row in rows)
    assert [part.height for part in Bands(grid, (16, 64)).grids()] == [16, 64]


@pytest.mark.parametrize("rows", [(4, 8, 4), (16,), (1, 15), (7, 7, 2)])
def test_rows_are_cut_anew_and_see_their_neighbours(rows: tuple[int, ...]) -> None:
    volume = torch.arange(16.0).view(1, 1, 16, 1, 1)
    parts = list(recut(volume.split([6, 6, 4], 2), rows))
    assert [part.shape[2] for part in parts] == list(rows)
    assert torch.cat(parts, 2).equal(volume)
    edges = [0, *accumulate(rows)]
    for (part, above, below), start, end in zip(
        among_neighbours(parts, 1), edges[:-1], edges[1:], strict=True
    ):
        assert (above, below) == (int(start > 0), int(end < 16))
        assert part.flatten().tolist() == list(range(start - above, end + below))
