from __future__ import annotations

import io
import json
import os
import stat
import tracemalloc
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweettok_cli.errors import SweettokError
from sweettok_cli.tokens import Tokens, looks_like_tokens, read_meta, read_tokens, write_tokens


def assert_equal(found: Tokens, expected: Tokens) -> None:
    assert found.meta == expected.meta
    assert set(found.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def save(path: Path, meta: str, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, meta=np.array(meta), **arrays)
    return path


@pytest.fixture
def good(tmp_path: Path, make_tokens: Any) -> Path:
    path = tmp_path / "good.npz"
    write_tokens(path, make_tokens())
    return path


@pytest.fixture(params=[{}, {"temporal": 1, "detail": 4}], ids=["dense", "levels"])
def either(request: pytest.FixtureRequest, tmp_path: Path, make_tokens: Any) -> Path:
    path = tmp_path / "either.npz"
    write_tokens(path, make_tokens(levels=request.param))
    return path


def test_round_trip(tmp_path: Path, tokens: Tokens) -> None:
    path = tmp_path / "clip.npz"
    write_tokens(path, tokens)
    assert_equal(read_tokens(path), tokens)
    assert read_meta(path) == tokens.meta


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    frames=st.integers(1, 60),
    rate=st.fractions(Fraction(1, 1000), 1000, max_denominator=10_000),
    tiles=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 1 << 16), min_size=6, max_size=6),
    source=st.text(max_size=30).filter(lambda text: "\0" not in text and text.isprintable()),
    seed=st.integers(0, 1 << 32),
)
def test_round_trip_of_any_tokens(
    tmp_path: Path,
    make_tokens: Any,
    frames: int,
    rate: Fraction,
    tiles: int,
    sizes: list[int],
    source: str,
    seed: int,
) -> None:
    tokens = make_tokens(
        seed,
        frames=frames,
        rate=rate,
        source=source,
        codebooks={"spatial": tuple(sizes[:3]), "temporal": tuple(sizes[3:])},
        shapes={"spatial": (16 * tiles, 3), "temporal": (64 * tiles, 3)},
    )
    path = tmp_path / "any.npz"
    write_tokens(path, tokens, force=True)
    assert_equal(read_tokens(path), tokens)


def test_the_file_is_plain_numpy(good: Path, make_tokens: Any) -> None:
    with np.load(good, allow_pickle=False) as archive:
        assert sorted(archive) == ["meta", "spatial", "temporal"]
        assert json.loads(str(archive["meta"]))["model"] == "sweettok-small"
        np.testing.assert_array_equal(archive["spatial"], make_tokens().arrays["spatial"])


def test_files_without_levels_are_what_they_were(tmp_path: Path) -> None:
    """``version1.npz`` was written before there were levels; how well zlib packs may differ."""
    old, again = Path(__file__).with_name("version1.npz"), tmp_path / "again.npz"
    write_tokens(again, read_tokens(old))
    with zipfile.ZipFile(old) as one, zipfile.ZipFile(again) as two:
        assert one.namelist() == two.namelist()
        for name in one.namelist():
            assert one.read(name) == two.read(name)


def test_same_tokens_same_bytes(tmp_path: Path, good: Path, make_tokens: Any) -> None:
    write_tokens(tmp_path / "again.npz", make_tokens())
    assert (tmp_path / "again.npz").read_bytes() == good.read_bytes()


def test_arrays_saved_in_column_order_are_read(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens()
    path = save(
        tmp_path / "f.npz",
        tokens.meta.to_json(),
        **{k: np.asfortranarray(v) for k, v in tokens.arrays.items()},
    )
    assert_equal(read_tokens(path), tokens)


def test_no_silent_overwrite(good: Path, make_tokens: Any) -> None:
    before = good.read_bytes()
    with pytest.raises(SweettokError, match="force=True"):
        write_tokens(good, make_tokens(1))
    assert good.read_bytes() == before
    write_tokens(good, make_tokens(1), force=True)
    assert_equal(read_tokens(good), make_tokens(1))


def test_invalid_tokens_are_never_written(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens()
    tokens.arrays["spatial"][0, 0, 2] = 5403
    with pytest.raises(SweettokError, match="5403"):
        write_tokens(tmp_path / "bad.npz", tokens)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.booleans(),
)
def test_damage_is_an_error_of_ours_or_harmless(
    either: Path, edits: list[tuple[int, int]], cut: bool
) -> None:
    data = bytearray(either.read_bytes())
    for place, value in edits:
        data[place % len(data)] = value
    if cut:
        del data[edits[0][0] % len(data) :]
    bad = either.with_name("bad.npz")
    bad.write_bytes(data)
    try:
        read_tokens(bad).check()
    except SweettokError as error:
        assert str(bad) in str(error)
        assert "\n" not in str(error)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 1 << 20), value=st.integers(0, 255))
def test_damaged_headers_behind_a_right_checksum(either: Path, place: int, value: int) -> None:
    bad = either.with_name("bad.npz")
    with zipfile.ZipFile(either) as old, zipfile.ZipFile(bad, "w") as new:
        for info in old.infolist():
            data = bytearray(old.read(info))
            data[place % min(len(data), 128)] = value
            new.writestr(info.filename, bytes(data))
    try:
        read_tokens(bad).check()
    except SweettokError as error:
        assert str(bad) in str(error)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"just some text", "not a token file"),
        (b"PK\x03\x04 and then nothing", "damaged"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "clip.npz"
    path.write_bytes(content)
    with pytest.raises(SweettokError, match=expected):
        read_tokens(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="does not exist"):
        read_tokens(tmp_path / "none.npz")
    with pytest.raises(SweettokError, match="folder"):
        read_tokens(tmp_path)


def test_a_cut_file_is_called_damaged(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-30])
    with pytest.raises(SweettokError, match="damaged"):
        read_tokens(good)


def test_pickles_are_never_loaded(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens()
    objects = np.empty(tokens.arrays["spatial"].shape, object)
    np.savez(
        tmp_path / "p.npz",
        meta=np.array(tokens.meta.to_json()),
        spatial=objects,
        temporal=tokens.arrays["temporal"],
    )
    with pytest.raises(SweettokError, match=r"p\.npz"):
        read_tokens(tmp_path / "p.npz")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spatial": None}, "holds the arrays"),
        ({"extra": np.zeros(3)}, "unexpected member"),
        ({"indices": np.zeros(3, np.uint16)}, "holds the arrays"),
        ({"spatial": np.zeros((3, 32, 3), np.int64)}, "int64"),
        ({"spatial": np.zeros((3, 32, 3), ">u2")}, ">u2"),
        ({"spatial": np.zeros((2, 32, 3), np.uint16)}, r"\[2, 32, 3\]"),
        ({"spatial": np.zeros((3, 32, 2), np.uint16)}, r"\[3, 32, 2\]"),
        ({"spatial": np.full((3, 32, 3), 5403, np.uint16)}, "past its codebook"),
        ({"temporal": np.full((3, 128, 3), 1872, np.uint16)}, "past its codebook of 1872"),
    ],
)
def test_arrays_are_held_against_the_description(
    tmp_path: Path, make_tokens: Any, changes: dict[str, Any], expected: str
) -> None:
    tokens = make_tokens()
    arrays = {name: array for name, array in {**tokens.arrays, **changes}.items() if array is not None}
    path = save(tmp_path / "clip.npz", tokens.meta.to_json(), **arrays)
    for read in (read_tokens, read_meta):
        with pytest.raises(SweettokError, match=expected):
            read(path)


def test_every_column_is_checked_in_order_of_columns_too(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens()
    tokens.arrays["spatial"][-1, -1] = (5077, 5077, 5402)
    arrays = {name: np.asfortranarray(array) for name, array in tokens.arrays.items()}
    assert read_meta(save(tmp_path / "good.npz", tokens.meta.to_json(), **arrays)) == tokens.meta
    arrays["spatial"][0, 0, 1] = 5078
    with pytest.raises(SweettokError, match="5078 in 'spatial', past its codebook of 5078"):
        read_meta(save(tmp_path / "bad.npz", tokens.meta.to_json(), **arrays))


def test_latents_must_be_finite(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens(family="vidtok-kl", codebooks={}, shapes={"latents": (4, 5, 8, 16)})
    tokens.arrays["latents"][0, 0, 0, 0, 0] = np.nan
    path = save(tmp_path / "clip.npz", tokens.meta.to_json(), **tokens.arrays)
    with pytest.raises(SweettokError, match="finite"):
        read_tokens(path)


def test_a_meta_that_is_no_string(tmp_path: Path, make_tokens: Any) -> None:
    for meta in (np.zeros(5), np.array([make_tokens().meta.to_json()])):
        np.savez(tmp_path / "m.npz", meta=meta, **make_tokens().arrays)
        with pytest.raises(SweettokError, match="one string"):
            read_tokens(tmp_path / "m.npz")


def bomb(path: Path, tokens: Tokens, members: dict[str, tuple[bytes, int]]) -> Path:
    """A valid file whose ``members`` start as given and go on with that many zero bytes."""
    packed = {"meta": np.array(tokens.meta.to_json()), **tokens.arrays}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in packed.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                if name in members:
                    stream.write(members[name][0])
                    for _ in range(members[name][1] >> 20):
                        stream.write(bytes(1 << 20))
                else:
                    np.lib.format.write_array(stream, array)
    return path


def header(shape: tuple[int, ...], dtype: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        {"spatial": (header((1 << 17, 512, 3), "<u2"), 64 << 20)},
        {"spatial": (header((3, 32, 3), "<u2"), 64 << 20)},
        {"meta": (header((), f"<U{20 << 20}"), 80 << 20)},
    ],
)
def test_bombs_are_not_unpacked(
    tmp_path: Path, make_tokens: Any, members: dict[str, tuple[bytes, int]]
) -> None:
    path = bomb(tmp_path / "bomb.npz", make_tokens(), members)
    tracemalloc.start()
    try:
        with pytest.raises(SweettokError, match=r"\[131072, 512, 3\]|holds more|too long"):
            read_tokens(path)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_few_kilobytes_that_unfold_take_their_size_once(
    tmp_path: Path, make_tokens: Any, order: str
) -> None:
    frames = 17 * 40_000
    changes = {"frames": frames, "family": "omnitokenizer"}
    tokens = make_tokens(**changes, codebooks={"indices": (64,)}, shapes={"indices": (5, 4, 4)})
    tokens.arrays["indices"] = np.zeros((40_000, 5, 4, 4), "<u2", order=order)  # type: ignore[call-overload]
    path = save(tmp_path / "long.npz", tokens.meta.to_json(), **tokens.arrays)
    size = tokens.meta.array_bytes
    assert path.stat().st_size * 100 < size
    tracemalloc.start()
    try:
        assert read_meta(path) == tokens.meta
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
        tracemalloc.reset_peak()
        read_tokens(path)
        assert tracemalloc.get_traced_memory()[1] < size + (5 << 20)
    finally:
        tracemalloc.stop()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.npz")
    with pytest.raises(SweettokError, match="not a regular file"):
        read_tokens(tmp_path / "clip.npz")


def test_other_packings_are_refused(good: Path) -> None:
    other = good.with_name("lzma.npz")
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(other, "w", zipfile.ZIP_LZMA) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with pytest.raises(SweettokError, match="NumPy does not"):
        read_tokens(other)


def test_looks(tmp_path: Path, good: Path) -> None:
    renamed = good.rename(tmp_path / "tokens.bin")
    assert looks_like_tokens(renamed)
    assert looks_like_tokens(Path("not-there.npz"))
    assert not looks_like_tokens(Path("not-there.mp4"))


def test_the_file_gets_ordinary_permissions(good: Path) -> None:
    assert stat.S_IMODE(good.stat().st_mode) & 0o444
