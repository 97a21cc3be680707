"""What every tokenizer promises, whatever its family: one suite, run on a small model of each."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import SAVE

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.models.registry import read_spec
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens import read_tokens, token_cost, write_tokens
from sweettok_cli.zoo.load import load


@pytest.fixture(scope="module", params=list(SAVE))
def folder(request: pytest.FixtureRequest, families: dict[str, Path]) -> Path:
    return families[request.param]


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Iterator[Tokenizer]:
    yield load(str(folder), device="cpu")


def video(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours that drift, uint8 [t, h, w, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (1, -(-height // 16), -(-width // 16), 3)).repeat(16, 1).repeat(16, 2)
    drift = 3 * np.arange(frames)[:, None, None, None]
    return np.clip(coarse[:, :height, :width] + drift, 0, 255).astype(np.uint8)


def clip_size(tokenizer: Tokenizer) -> tuple[int, int]:
    """Two tiles, or windows, beside each other; convolutions have none, and make do with a quarter."""
    return (64, 128) if tokenizer.spec.multiple == 64 else (32, 64)


def odd_size(tokenizer: Tokenizer) -> tuple[int, int]:
    """A height and a width that have to be padded."""
    return (50, 70) if tokenizer.spec.multiple == 64 else (26, 38)


def clips(tokenizer: Tokenizer, count: int) -> np.ndarray:
    length, size = tokenizer.spec.clip_frames, clip_size(tokenizer)
    return np.stack([video(length, *size, seed) for seed in range(count)])


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    """Whether indices agree but for ties between codes, and latents but for rounding."""
    return all(
        (np.abs(array - two[name]) < 5e-3).all()
        if array.dtype == np.float16
        else (array == two[name]).mean() > 0.99
        for name, array in one.items()
    )


def test_the_folder_says_what_the_tokenizer_is(tokenizer: Tokenizer, folder: Path) -> None:
    spec = tokenizer.spec
    assert spec == read_spec(ModelFolder(folder))
    assert spec.name == folder.name and len(spec.weights_sha256) == 64
    assert spec.value_range in ((-0.5, 0.5), (-1.0, 1.0))


def test_arrays_are_what_the_spec_says(tokenizer: Tokenizer) -> None:
    spec = tokenizer.spec
    arrays = tokenizer.encode_clips(clips(tokenizer, 2))
    assert {name: array.shape for name, array in arrays.items()} == {
        name: (2, *shape) for name, shape in spec.clip_shapes(*clip_size(tokenizer)).items()
    }
    for name, array in arrays.items():
        sizes = spec.codebooks.get(name)
        if sizes is None:
            assert array.dtype == np.float16 and np.isfinite(array).all()
            continue
        assert array.dtype == (np.uint16 if max(sizes) <= 1 << 16 else np.uint32)
        columns = np.moveaxis(array, -1, 0) if len(sizes) > 1 else array[None]
        for size, column in zip(sizes, columns, strict=True):
            assert column.max() < size
            assert len(np.unique(column)) > 1
    decoded = tokenizer.decode_clips(arrays, *clip_size(tokenizer))
    assert decoded.dtype == np.uint8 and decoded.shape == (2, spec.clip_frames, *clip_size(tokenizer), 3)
    assert decoded.std() > 1


@pytest.mark.parametrize("frames", [1, 5, 16, 17, 18, 40])
def test_a_video_of_any_length_and_size_comes_back_in_its_own(tokenizer: Tokenizer, frames: int) -> None:
    source = video(frames, *odd_size(tokenizer))
    tokens = tokenizer.encode(source)
    tokens.check()
    assert tokens.meta.frames == frames and not tokens.meta.image
    decoded = tokenizer.decode(tokens)
    assert decoded.dtype == np.uint8 and decoded.shape == source.shape


def test_a_long_video_begins_as_a_short_one(tokenizer: Tokenizer) -> None:
    """No clip knows of those behind it; a stream's later pieces do not change earlier ones."""
    length = tokenizer.spec.clip_frames
    source = video(2 * length + 3, clip_size(tokenizer)[0], 64)
    long, short = (tokenizer.encode(part) for part in (source, source[:length]))
    for name, array in short.arrays.items():
        if tokenizer.spec.stream_frames is None:
            assert np.array_equal(array[0], long.arrays[name][0])
        else:
            axis = 1 + tokenizer.spec.layout.time_axis(name)
            head = long.arrays[name].take(range(array.shape[axis]), axis)
            assert same({name: array}, {name: head})


def test_an_image_is_a_clip_of_one_frame(tokenizer: Tokenizer) -> None:
    image = video(1, *odd_size(tokenizer))[0]
    if not tokenizer.spec.images:
        with pytest.raises(SweettokError, match=r"The video is an image, which .* cannot encode"):
            tokenizer.encode(image)
        return
    tokens = tokenizer.encode(image)
    tokens.check()
    assert tokens.meta.image and tokens.meta.clips == 1
    assert tokenizer.decode(tokens).shape == image.shape
    counts = tokenizer.spec.tokens_per_clip(tokens.meta.padded_height, tokens.meta.padded_width, image=True)
    assert token_cost(tokens.meta).tokens == sum(counts.values())


def test_a_batch_is_its_clips(tokenizer: Tokenizer) -> None:
    batch = clips(tokenizer, 3)
    together = tokenizer.encode_clips(batch)
    decoded = tokenizer.decode_clips(together, *clip_size(tokenizer)).astype(int)
    for index in range(3):
        alone = tokenizer.encode_clips(batch[index : index + 1])
        assert same(alone, {name: array[index : index + 1] for name, array in together.items()})
        given = {name: array[index : index + 1] for name, array in together.items()}
        assert np.abs(tokenizer.decode_clips(given, *clip_size(tokenizer))[0] - decoded[index]).max() <= 1


def test_the_same_comes_out_again(tokenizer: Tokenizer, folder: Path) -> None:
    batch = clips(tokenizer, 1)
    first = tokenizer.encode_clips(batch)
    second = load(str(folder), device="cpu").encode_clips(batch)
    for name, array in first.items():
        assert np.array_equal(array, second[name])
    one, two = (tokenizer.decode_clips(first, *clip_size(tokenizer)) for _ in range(2))
    assert np.array_equal(one, two)


def test_the_picture_matters(tokenizer: Tokenizer) -> None:
    one, two = (tokenizer.encode_clips(clips(tokenizer, 2)[index : index + 1]) for index in range(2))
    assert any(not np.array_equal(array, two[name]) for name, array in one.items())


def test_a_narrower_format_stays_near(tokenizer: Tokenizer, folder: Path) -> None:
    narrow = load(str(folder), device="cpu", dtype="bfloat16")
    arrays = tokenizer.encode_clips(clips(tokenizer, 1))
    exact = tokenizer.decode_clips(arrays, *clip_size(tokenizer)).astype(int)
    difference = np.abs(narrow.decode_clips(arrays, *clip_size(tokenizer)) - exact)
    assert 0 < difference.mean() < 4
    assert {name: array.dtype for name, array in narrow.encode_clips(clips(tokenizer, 1)).items()} == {
        name: array.dtype for name, array in arrays.items()
    }


@pytest.mark.gpu
def test_another_device_gives_the_same(tokenizer: Tokenizer, folder: Path) -> None:
    cuda = load(str(folder), device="cuda", dtype="float32")
    batch = clips(tokenizer, 2)
    arrays = tokenizer.encode_clips(batch)
    assert same(arrays, cuda.encode_clips(batch))
    exact = tokenizer.decode_clips(arrays, *clip_size(tokenizer)).astype(int)
    assert np.abs(cuda.decode_clips(arrays, *clip_size(tokenizer)) - exact).max() <= 2


def test_shapes_that_do_not_fit_are_refused(tokenizer: Tokenizer) -> None:
    good = clips(tokenizer, 1)
    transparent = np.concatenate([good, good[..., :1]], -1)
    for given, hint in (
        (good[:, :, :-4], "cut and pad"),
        (good[0], r"clip\[None\]"),
        (transparent, r"clips\[\.\.\., :3\]"),
        (transparent[0], r"clip\[None\]"),
        (good / np.float32(255), "convert"),
        (np.moveaxis(good, -1, 2), "convert"),
        (good[:0], "convert"),
        (good[0, 0, 0, 0, 0], "convert"),
    ):
        given = np.asarray(given)
        shown = re.escape(f"not {given.dtype} {list(given.shape)}; ")
        with pytest.raises(ValueError, match=rf"^A batch of clips is uint8 .*{shown}.*{hint}"):
            tokenizer.encode_clips(given)
    with pytest.raises(TypeError, match="not str"):
        tokenizer.encode_clips("clip.mp4")  # type: ignore[arg-type]
    arrays = tokenizer.encode_clips(torch.from_numpy(good))
    for wrong in ({}, {name: array[0] for name, array in arrays.items()}, {**arrays, "more": good}):
        with pytest.raises(ValueError, match=r"^The arrays of clips of .* are \w+ \[b, .*, not "):
            tokenizer.decode_clips(wrong, *clip_size(tokenizer))
    with pytest.raises(ValueError, match=r"\d"):
        tokenizer.decode_clips(arrays, 128, 128)
    for wrong in (good[0, 0].astype(float), good, good[0, ..., :2], good[0, :0]):
        with pytest.raises(ValueError, match=r"from 0 to 1|is a batch|three colours|no pixel"):
            tokenizer.encode(wrong)


def test_tokens_survive_their_file_and_no_other_model_takes_them(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tokens = tokenizer.encode(video(20, *odd_size(tokenizer)), rate=12.5)
    write_tokens(tmp_path / "a.npz", tokens)
    stored = read_tokens(tmp_path / "a.npz")
    assert stored.meta == tokens.meta
    for name, array in tokens.arrays.items():
        assert array.dtype == stored.arrays[name].dtype and np.array_equal(array, stored.arrays[name])
    assert np.array_equal(tokenizer.decode(stored), tokenizer.decode(tokens))
    other = replace(stored.meta, weights_sha256="0" * 64)
    with pytest.raises(SweettokError, match=r"was encoded by .* with weights 000000"):
        tokenizer.decode(replace(stored, meta=other))


def test_arrays_that_may_not_be_written_decode_without_a_word(tokenizer: Tokenizer) -> None:
    """A token file's arrays are read-only, of which torch warns wherever it takes them as they are."""
    found = tokenizer.encode_clips(clips(tokenizer, 1))
    arrays = {name: np.ascontiguousarray(array) for name, array in found.items()}
    for array in arrays.values():
        array.flags.writeable = False
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else once a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tokenizer.decode_clips(arrays, *clip_size(tokenizer))
    finally:
        torch.set_warn_always(before)


def test_weights_that_do_not_fit_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    import json

    from safetensors.torch import load_file, save_file

    from sweettok_cli.files import sha256_file

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(tmp_path / "model.safetensors")
    del state[next(name for name, tensor in state.items() if tensor.ndim > 1)]
    save_file(state, tmp_path / "model.safetensors")
    table = json.loads((tmp_path / "config.json").read_text())
    table["weights_sha256"] = sha256_file(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(table))
    with pytest.raises(SweettokError, match=r"do not fit .*again\.$"):
        load(str(tmp_path), device="cpu")
    (tmp_path / "config.json").write_text(json.dumps({**table, "config": {"depth": 3}}))
    with pytest.raises(SweettokError, match=r"describes no network.*again\.$"):
        load(str(tmp_path), device="cpu")
    (tmp_path / "config.json").write_text(json.dumps({**table, "family": "magvit"}))
    with pytest.raises(SweettokError, match="unknown family 'magvit'; update sweettok"):
        load(str(tmp_path), device="cpu")


def test_threads_may_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    """Nothing of one call is kept in the network for the next."""
    from concurrent.futures import ThreadPoolExecutor

    sources = [video(20, clip_size(tokenizer)[0], 64, seed) for seed in range(3)]
    alone = [tokenizer.decode(tokenizer.encode(source)) for source in sources]
    with ThreadPoolExecutor(3) as pool:
        shared = list(pool.map(lambda source: tokenizer.decode(tokenizer.encode(source)), sources))
    for one, two in zip(alone, shared, strict=True):
        assert np.abs(one.astype(int) - two).max() <= 1


@pytest.mark.parametrize("name", ["vidtok-kl-causal", "omnitokenizer-vae"])
def test_drawn_latents_follow_their_seed(name: str, families: dict[str, Path]) -> None:
    folder = str(families[name])
    batch = clips(load(folder, device="cpu"), 1)
    mean, one, again, other = (
        load(folder, device="cpu", sample=seed).encode_clips(batch)["latents"].astype(float)
        for seed in (None, 1, 1, 2)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert 0.05 < np.abs(one - mean).mean() < 5
    with pytest.raises(SweettokError, match="has discrete codes, of which none is drawn; leave out the seed"):
        load(str(families["omnitokenizer"]), sample=1)


def test_latents_that_are_no_numbers_are_refused(families: dict[str, Path], small_clip: Path) -> None:
    tokenizer = load(str(families["vidtok-kl-causal"]), device="cpu")
    with torch.no_grad():
        for parameter in tokenizer.network.parameters():  # type: ignore[attr-defined]
            parameter.mul_(1e30)
    with pytest.raises(SweettokError, match=r"vidtok-kl-causal turns .*small\.mp4 into values .* not finite"):
        encode_video(small_clip / "small.mp4", tokenizer)


def test_nothing_is_trained_by_accident(tokenizer: Tokenizer) -> None:
    network: torch.nn.Module = tokenizer.network  # type: ignore[attr-defined]
    assert not network.training
    tokenizer.encode_clips(clips(tokenizer, 1))
    assert all(parameter.grad is None for parameter in network.parameters())
