"""A packed file gives back what went in, byte for byte, and every damage is told in a sentence."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packing.conftest import learned, settled_levels, settled_tokens
from tokens.conftest import GRID, SWEETTOK, random_tokens

from sweettok_cli.errors import SweettokError
from sweettok_cli.packing.file import (
    _USUAL,
    MAGIC,
    PackedFile,
    _deflate,
    looks_packed,
    write_packed,
)
from sweettok_cli.packing.prior import TokenPrior
from sweettok_cli.tokens import TokenMeta, Tokens, token_cost, write_tokens
from sweettok_cli.tokens.ragged import rows_by_level

HEAD = 68  # bytes


def no_prior(meta: TokenMeta, sha256: str) -> TokenPrior:
    raise AssertionError("no prior is needed")


def unpack(path: Path, prior: TokenPrior | None = None) -> Tokens:
    return PackedFile.open(path).read(no_prior if prior is None else lambda meta, sha256: prior)


def assert_unpacks(path: Path, tokens: Tokens, prior: TokenPrior | None = None) -> None:
    """The token files of what is unpacked and of what was packed are the same bytes."""
    found = unpack(path, prior)
    for name, each in (("found", found), ("expected", tokens)):
        write_tokens(path.with_name(f"{name}.npz"), each, force=True)
    assert path.with_name("found.npz").read_bytes() == path.with_name("expected.npz").read_bytes()


def rewrite(path: Path, meta: str, counts: list[int] | None = None, version: int = 1) -> Path:
    """Give a packed file another description, and the checksum that belongs to it."""
    data = path.read_bytes()
    described, count = struct.unpack_from("<II", data, 12)
    table = data[HEAD + described : HEAD + described + 8 * count]
    rest = data[HEAD + described + 8 * count + 4 :]
    packed = _deflate(meta, _USUAL)
    if counts is not None:
        table = b"".join(struct.pack("<II", each, 0) for each in counts)
    head = (
        MAGIC
        + struct.pack("<HHII", version, 0, len(packed), len(table) // 8)
        + data[20:HEAD]
        + packed
        + table
    )
    path.write_bytes(head + struct.pack("<I", zlib.crc32(head)) + rest)
    return path


@pytest.fixture
def good(tmp_path: Path, settled: Tokens) -> Path:
    path = tmp_path / "good.swt"
    write_packed(path, settled)
    return path


def refused(path: Path) -> str:
    """The one sentence about a file, which names it and ends in a remedy."""
    with pytest.raises(SweettokError) as error:
        unpack(path)
    text = str(error.value)
    assert text.startswith(str(path)) and text.endswith(".") and "\n" not in text
    return text


def test_unpacks_to_the_same_token_file(tmp_path: Path, tokens: Tokens) -> None:
    path = tmp_path / "clip.swt"
    write_packed(path, tokens)
    assert_unpacks(path, tokens)
    assert PackedFile.open(path).meta == tokens.meta
    first = path.read_bytes()
    write_packed(path, tokens, force=True)
    assert path.read_bytes() == first


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    frames=st.integers(1, 120),
    tiles=st.integers(0, 3),
    columns=st.integers(1, 4),
    sizes=st.lists(st.sampled_from([1, 2, 300, 65536, 65537, 1 << 32]), min_size=8, max_size=8),
    seed=st.integers(0, 1 << 32),
)
def test_any_tokens_come_back(
    tmp_path: Path, frames: int, tiles: int, columns: int, sizes: list[int], seed: int
) -> None:
    tokens = random_tokens(
        seed,
        frames=frames,
        codebooks={"spatial": tuple(sizes[:columns]), "temporal": tuple(sizes[4 : 4 + columns])},
        shapes={"spatial": (13 * tiles, columns), "temporal": (64 * tiles, columns)},
    )
    path = tmp_path / "any.swt"
    write_packed(path, tokens, force=True)
    assert_unpacks(path, tokens)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    frames=st.integers(1, 120),
    tiles=st.integers(0, 3),
    most=st.tuples(st.integers(1, 2), st.integers(1, 7)),
    sizes=st.lists(st.sampled_from([1, 2, 300, 65536, 65537, 1 << 32]), min_size=6, max_size=6),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 1 << 32),
)
def test_any_tokens_of_levels_come_back(
    tmp_path: Path,
    frames: int,
    tiles: int,
    most: tuple[int, int],
    sizes: list[int],
    share: float,
    seed: int,
) -> None:
    spatial, temporal = tuple(sizes[:3]), tuple(sizes[3:])
    levels = {"temporal": most[0], "detail": most[1]}
    tokens = random_tokens(
        seed,
        frames=frames,
        codebooks={"spatial": spatial, "temporal": temporal, "detail": spatial[-1:]},
        shapes={"spatial": (13 * tiles, 3), "temporal": (64 * tiles, 3), "detail": (2, 3, 5 * tiles, 1)},
        levels=levels,
    )
    path = tmp_path / "any.swt"
    tokens = thinned(tokens, share, seed)
    write_packed(path, tokens, force=True)
    assert_unpacks(path, tokens)


def thinned(tokens: Tokens, share: float, seed: int) -> Tokens:
    """Only some ``share`` of the positions keep their tokens of detail."""
    counts = tokens.arrays["detail_counts"]
    counts = np.where(np.random.default_rng(seed).random(counts.shape) < share, counts, 0).astype("u1")
    rows = rows_by_level(counts, tokens.meta.levels["detail"])
    meta = replace(tokens.meta, rows={**tokens.meta.rows, "detail": rows})
    detail = tokens.arrays["detail"][: sum(rows)]
    return Tokens({**tokens.arrays, "detail_counts": counts, "detail": detail}, meta)


# What was packed before there were levels.
WITHOUT_LEVELS = {
    "video": ({}, "d87c930d04dcc135014919ed86f376b0", "26afd57da110ca06941e4adc3ea47181"),
    "image": (
        {
            "image": True,
            "frames": 1,
            "source": "Küche.png",
            "shapes": {"spatial": (32, 3), "temporal": (0, 3)},
        },
        "d485ea9117ff4425573e9c7d4409124b",
        "90c835fbf5e2bc7b6391256523d675ed",
    ),
    "large": (
        {
            "frames": 51,
            "padded_width": 384,
            "padded_height": 256,
            "shapes": {"spatial": (384, 3), "temporal": (1536, 3)},
        },
        "7ecfc6b9dcee285cf1d280891f9f79b1",
        "91f1ee69ca94891efaf73fcf88cfaa90",
    ),
    "fsq": (
        {"family": "vidtok-fsq", **GRID, "codebooks": {"indices": (262144,)}},
        "82e3076d40cc0eec07424642fcd17390",
        None,
    ),
    "kl": (
        {"family": "vidtok-kl", "codebooks": {}, "shapes": {"latents": (4, 5, 8, 16)}},
        "e7d1f0950ea8d40f5600bb71bd9b24bc",
        None,
    ),
}


@pytest.mark.parametrize("kind", WITHOUT_LEVELS)
def test_files_of_version_1_stay_the_same_bytes(tmp_path: Path, prior: TokenPrior, kind: str) -> None:
    changes, *expected = WITHOUT_LEVELS[kind]
    for helped, digest in zip((None, prior), expected, strict=True):
        if digest is not None:
            path = tmp_path / f"{kind}.swt"
            write_packed(path, random_tokens(**changes), helped, force=True)
            assert hashlib.sha256(path.read_bytes()).hexdigest()[:32] == digest


def test_prior_of_levels_makes_it_smaller_and_is_needed(tmp_path: Path) -> None:
    tokens, *others = (settled_levels(seed) for seed in range(3))
    prior = learned(others)
    assert prior.levels == tokens.meta.levels
    path = tmp_path / "helped.swt"
    write_packed(tmp_path / "alone.swt", tokens)
    write_packed(path, tokens, prior)
    assert path.stat().st_size < 0.9 * (tmp_path / "alone.swt").stat().st_size
    assert_unpacks(path, tokens, prior)
    # Tokens of the same model without levels have the prior's other statistics.
    fixed = settled_tokens()
    write_packed(tmp_path / "fixed.swt", fixed, prior)
    assert_unpacks(tmp_path / "fixed.swt", fixed, prior)
    write_packed(tmp_path / "fixed_alone.swt", fixed)
    assert (tmp_path / "fixed.swt").stat().st_size < (tmp_path / "fixed_alone.swt").stat().st_size
    with pytest.raises(SweettokError, match=r"packed with the prior of other codebooks"):
        unpack(path, replace(prior, levels={"temporal": 1, "detail": 2}))


def test_prior_makes_it_smaller_and_is_needed(
    tmp_path: Path, good: Path, settled: Tokens, prior: TokenPrior
) -> None:
    path = tmp_path / "helped.swt"
    write_packed(path, settled, prior)
    assert path.stat().st_size < 0.8 * good.stat().st_size
    packed = PackedFile.open(path)
    assert packed.prior_sha256 == prior.sha256
    assert PackedFile.open(good).prior_sha256 is None
    asked = []

    def find(meta: TokenMeta, sha256: str) -> TokenPrior:
        asked.append((meta, sha256))
        return prior

    assert (packed.read(find).arrays["spatial"] == settled.arrays["spatial"]).all()
    assert asked == [(settled.meta, prior.sha256)]


def test_wrong_prior_never_gives_wrong_tokens(tmp_path: Path, settled: Tokens, prior: TokenPrior) -> None:
    path = tmp_path / "helped.swt"
    write_packed(path, settled, prior)
    starts = {name: tuple(reversed(starts)) for name, starts in prior.starts.items()}
    swapped = {name: (starts[name][1], starts[name][1], prior.starts[name][2]) for name in starts}
    other = TokenPrior(prior.weights_sha256, prior.codebooks, swapped, b"")
    with pytest.raises(SweettokError, match=r"helped\.swt holds a chunk that was not coded so"):
        unpack(path, other)
    foreign = TokenPrior(prior.weights_sha256, {"indices": (4096,)}, {}, b"")
    with pytest.raises(SweettokError, match=r"helped\.swt was packed with the prior of other codebooks"):
        unpack(path, foreign)
    with pytest.raises(SweettokError, match="cannot be written"):
        write_packed(path, settled, foreign, force=True)


def test_says_what_it_costs(good: Path, settled: Tokens) -> None:
    cost = PackedFile.open(good).cost
    assert cost.file_bytes == good.stat().st_size
    assert 0 < cost.file_bytes - cost.coded_bits // 8 < 500
    assert cost.ratio == token_cost(settled.meta).bits / (8 * cost.file_bytes)


def test_every_byte_is_guarded(tmp_path: Path) -> None:
    """Whatever byte is changed, one sentence names the file, and no other tokens come back."""
    tokens = random_tokens(frames=17, shapes={"spatial": (4, 3), "temporal": (16, 3)})
    path = tmp_path / "clip.swt"
    write_packed(path, tokens)
    data = path.read_bytes()
    for place in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            path.write_bytes(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
            refused(path)


def test_every_cut_is_said(tmp_path: Path) -> None:
    tokens = random_tokens(frames=17, shapes={"spatial": (4, 3), "temporal": (16, 3)})
    path = tmp_path / "clip.swt"
    write_packed(path, tokens)
    data = path.read_bytes()
    for length in range(1, len(data)):
        path.write_bytes(data[:length])
        assert "is cut short" in refused(path)
    path.write_bytes(b"")
    assert "is empty" in refused(path)
    path.write_bytes(data + b"\0")
    assert "goes on after its end" in refused(path)


def test_damage_of_latents_is_said(tmp_path: Path) -> None:
    path = tmp_path / "latents.swt"
    write_packed(path, random_tokens(family="vidtok-kl", codebooks={}, shapes={"latents": (4, 5, 8, 16)}))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "changed since it was written, in chunk 1 of 1" in refused(path)


def test_damage_of_a_chunk_is_found_without_unpacking(good: Path) -> None:
    PackedFile.open(good).check()
    data = bytearray(good.read_bytes())
    data[-1] ^= 1
    good.write_bytes(data)
    with pytest.raises(SweettokError, match="in chunk 1 of 1"):
        PackedFile.open(good).check()


def test_other_versions_are_said(good: Path, settled: Tokens) -> None:
    rewrite(good, settled.meta.to_json(), version=2)
    assert "has version 2, this program reads 1; update sweettok" in refused(good)


def test_descriptions_that_lie_are_refused(good: Path, settled: Tokens) -> None:
    def meta(**changes: Any) -> str:
        return TokenMeta(**{**SWEETTOK, **changes}).to_json()

    data = good.read_bytes()
    for text, said in (
        (meta(frames=1000), "not coded so"),
        (meta(frames=100_000), "chunks where its description asks for"),
        (meta(shapes={"spatial": (1 << 20, 3), "temporal": (1 << 20, 3)}), "description asks for"),
        (meta(source="other.mp4"), "does not unpack to what was packed"),
        (meta(codebooks={"spatial": (6000,) * 3, "temporal": (1872, 1872, 9267)}), ""),
        ("{}", "format"),
        ("no JSON", "not JSON"),
        (meta().replace('"clip_frames": 17', '"clip_frames": null'), "cannot be read"),
    ):
        good.write_bytes(data)
        assert said in refused(rewrite(good, text))
    good.write_bytes(data)
    rewrite(good, settled.meta.to_json(), counts=[1 << 31])
    assert "is cut short" in refused(good)
    good.write_bytes(data)
    rewrite(good, settled.meta.to_json(), counts=[3])
    assert "fewer bytes than its description asks for" in refused(good)


def test_memory_is_bounded(good: Path) -> None:
    """A description that unpacks to gigabytes is given up early."""
    text = '{"format": "' + " " * (80 << 20) + '"}'
    rewrite(good, text)
    del text
    tracemalloc.start()
    assert "description" in refused(good)
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()


def test_what_is_no_packed_file_is_said(tmp_path: Path) -> None:
    other = tmp_path / "clip.npz"
    write_tokens(other, random_tokens())
    assert "is not a packed token file (.swt)" in refused(other)
    assert "does not exist" in refused(tmp_path / "missing.swt")
    assert "is a folder" in refused(tmp_path)


def test_looks_packed(good: Path, tmp_path: Path) -> None:
    assert looks_packed(good)
    renamed = good.rename(tmp_path / "renamed.bin")
    assert looks_packed(renamed)
    assert looks_packed(tmp_path / "missing.SWT")
    assert not looks_packed(tmp_path)
    assert not looks_packed(tmp_path / "missing.npz")


def test_invalid_tokens_are_not_packed(tmp_path: Path, settled: Tokens) -> None:
    settled.arrays["spatial"][0, 0, 0] = 6000
    with pytest.raises(SweettokError, match=r"bad\.swt cannot be written: it holds the index 6000"):
        write_packed(tmp_path / "bad.swt", settled)
    assert not list(tmp_path.iterdir())


def test_existing_files_stay(good: Path, settled: Tokens) -> None:
    before = good.read_bytes()
    with pytest.raises(SweettokError, match="exists"):
        write_packed(good, random_tokens())
    assert good.read_bytes() == before
    assert np.array_equal(unpack(good).arrays["spatial"], settled.arrays["spatial"])
