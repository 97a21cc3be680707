"""SweetTok keeps what the tokenizer interface promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_network import small_network, word_prior

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.models.sweettok.tokenizer import SweetTokTokenizer
from sweettok_cli.zoo.load import load

SIZES = [(64, 64), (64, 128), (128, 64)]


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> SweetTokTokenizer:
    loaded = load(str(model_folder), device="cpu")
    assert isinstance(loaded, SweetTokTokenizer)
    return loaded


def clips(count: int, frames: int = 17, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, frames, height, width, 3), dtype=np.uint8)


def test_spec_describes_the_network(tokenizer: SweetTokTokenizer, model_folder: Path) -> None:
    spec = tokenizer.spec
    assert (spec.name, spec.family, spec.clip_frames, spec.multiple, spec.images) == (
        *("small", "sweettok", 17, 64),
        True,
    )
    assert spec.codebooks == {"spatial": [20, 20, 30], "temporal": [12, 12, 18]}
    assert spec.tokens_per_clip(64, 64) == {"spatial": 16, "temporal": 64}
    assert spec.tokens_per_clip(256, 256) == {"spatial": 256, "temporal": 1024}
    assert len(spec.weights_sha256) == 64


@pytest.mark.parametrize("frames", [1, 17])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_arrays_are_those_of_the_spec(
    tokenizer: SweetTokTokenizer, height: int, width: int, frames: int
) -> None:
    video = clips(2, frames, height, width)
    arrays = tokenizer.encode_clips(video)
    shapes = tokenizer.spec.clip_shapes(height, width, image=frames == 1)
    assert {name: array.shape for name, array in arrays.items()} == {n: (2, *s) for n, s in shapes.items()}
    for name, array in arrays.items():
        assert array.dtype == np.uint16
        if array.size:
            assert (array.reshape(-1, 3).max(axis=0) < tokenizer.spec.codebooks[name]).all()
    decoded = tokenizer.decode_clips(arrays, height, width)
    assert decoded.dtype == np.uint8 and decoded.shape == video.shape
    assert len(np.unique(decoded)) > 10


def test_clips_of_a_batch_are_coded_as_if_alone(tokenizer: SweetTokTokenizer) -> None:
    video = clips(3, 17, 64, 128)
    together = tokenizer.encode_clips(video)
    decoded = tokenizer.decode_clips(together, 64, 128)
    for i in range(3):
        alone = tokenizer.encode_clips(video[i : i + 1])
        assert all(np.array_equal(alone[name][0], together[name][i]) for name in together)
        shown = tokenizer.decode_clips(alone, 64, 128)[0].astype(int)
        assert abs(shown - decoded[i]).max() <= 1


def test_the_same_clip_gives_the_same_tokens_and_pixels(
    tokenizer: SweetTokTokenizer, model_folder: Path
) -> None:
    video = clips(1)
    again = load(str(model_folder), device="cpu")
    first, second = tokenizer.encode_clips(video), again.encode_clips(video[:, :, ::-1][:, :, ::-1])
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert np.array_equal(tokenizer.decode_clips(first, 64, 64), again.decode_clips(second, 64, 64))


def test_other_pictures_have_other_tokens(tokenizer: SweetTokTokenizer) -> None:
    dark, bright = (tokenizer.encode_clips(np.full((1, 17, 64, 64, 3), v, np.uint8)) for v in (0, 255))
    assert not np.array_equal(dark["spatial"], bright["spatial"])


def test_words_are_those_of_the_ids(tokenizer: SweetTokTokenizer) -> None:
    words, prior = tokenizer.words(), word_prior()
    assert words["spatial"] == (prior.spatial.modifiers, prior.spatial.heads)
    assert words["temporal"] == (prior.temporal.modifiers, prior.temporal.heads)
    for half, (modifiers, heads) in words.items():
        assert tokenizer.spec.codebooks[half] == [len(modifiers), len(modifiers), len(heads)]


def test_wrong_clips_are_refused(tokenizer: SweetTokTokenizer) -> None:
    with pytest.raises(ValueError, match="multiples of 64"):
        tokenizer.encode_clips(clips(1, 17, 64, 80))
    with pytest.raises(ValueError, match=r"uint8 \[b, 1 or 17, h, w, 3\].*not uint8 \[1, 9, 64, 64, 3\]"):
        tokenizer.encode_clips(clips(1, 9))
    with pytest.raises(ValueError, match="do not fit"):
        tokenizer.decode_clips(tokenizer.encode_clips(clips(1)), 64, 128)


def test_narrow_arithmetic_keeps_most_tokens(tokenizer: SweetTokTokenizer, model_folder: Path) -> None:
    narrow = load(str(model_folder), device="cpu", dtype="bfloat16")
    video = clips(2)
    wide, short = tokenizer.encode_clips(video), narrow.encode_clips(video)
    assert np.mean(wide["spatial"] == short["spatial"]) > 0.8
    difference = narrow.decode_clips(wide, 64, 64).astype(int) - tokenizer.decode_clips(wide, 64, 64)
    assert abs(difference).mean() < 3
    assert not np.array_equal(narrow.decode_clips(wide, 64, 64), tokenizer.decode_clips(wide, 64, 64))


def test_a_first_stage_encodes_and_says_that_it_cannot_decode(tmp_path: Path) -> None:
    network = small_network(proxy_codes=16, proxy_hidden=8, pixels=False)
    save_model_folder(tmp_path / "first", network, word_prior())
    first = load(str(tmp_path / "first"), device="cpu")
    arrays = first.encode_clips(clips(1))
    with pytest.raises(SweettokError, match=r"first is a first-stage network, .* no pixel decoder"):
        first.decode_clips(arrays, 64, 64)
