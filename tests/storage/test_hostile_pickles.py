"""Pickles and archives that ask for time and memory, and archives in which a bit is wrong."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.checkpoint_file import read_checkpoint
from sweettok_cli.storage.model_folder import write_model
from sweettok_cli.storage.pickle_bounds import check_pickle
from sweettok_cli.storage.plain_pickle import read_plain_pickle
from sweettok_cli.tokens import read_tokens

STATE = {"encoder.weight": torch.arange(64.0).reshape(8, 8), "encoder.bias": torch.ones(8)}


def doubled(times: int, make: bytes, begin: bytes) -> bytes:
    """``begin``, and then so often: two of the last thing made into one by ``make``."""
    return begin + (b"2" + make) * times


def text(content: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(content)) + content


COSTLY: dict[str, bytes] = {
    "the hash of doubled tuples": b"\x80\x02}" + doubled(60, b"\x86", b")") + b"Ns.",
    "doubled tuples in a set": b"\x80\x04\x8f(" + doubled(60, b"\x86", b")") + b"\x90.",
    "tuples nested deeply": b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.",
    "a place of gigabytes": b"\x80\x02Nr\xff\xff\xff\x1f.",
    "a place in words": b"Np4000000000\n.",
    "a text copied a thousand times": b"\x80\x02]q\x00("
    + text(b"a" * 1_000_000)
    + b"q\x01c_codecs\nencode\nq\x02"
    + b"h\x02h\x01\x85R0" * 2000
    + b"e.",
    "numbers whose hashes are alike": b"\x80\x02}("
    + b"".join(b"\x8a\x0b" + (k * (2**61 - 1) << 8).to_bytes(11, "little") + b"N" for k in range(1, 3000))
    + b"u.",
    "lists of the last list": b"\x80\x02](" + b"N" * 5000 + b"e" + b"q\x00(h\x00h\x00h\x00l" * 40 + b".",
}


@pytest.mark.parametrize("content", COSTLY.values(), ids=COSTLY)
def test_nothing_takes_time_or_memory_out_of_proportion(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.pkl"
    path.write_bytes(content)
    with pytest.raises(
        SweettokError, match=r"words\.pkl cannot be read as a pickle \(it .*again\."
    ) as caught:
        read_plain_pickle(path)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("content", COSTLY.values(), ids=COSTLY)
def test_archives_are_bounded_too(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", content)
        archive.writestr("model/version", "3\n")
    with pytest.raises(SweettokError, match=r"model\.pt cannot be read \(it .*again\.") as caught:
        read_checkpoint(path)
    assert len(str(caught.value)) < 300


def test_what_is_refused_is_shown_in_brief(tmp_path: Path) -> None:
    """A chain of lists, filled from the outside in, has no size when it is made, and no end when printed."""
    links = b"".join(b"]q" + bytes([k]) for k in range(100))
    filled = b"".join(b"h" + bytes([k]) + 2 * (b"h" + bytes([k + 1]) + b"a") + b"0" for k in range(99))
    path = tmp_path / "words.pkl"
    path.write_bytes(b"\x80\x02" + links + filled + b"h\x00Q.")
    with pytest.raises(SweettokError, match="an object from outside") as caught:
        read_plain_pickle(path)
    assert len(str(caught.value)) < 500


def test_views_cannot_take_more_than_their_file_has_room_for(tmp_path: Path) -> None:
    storage = torch.zeros(1 << 20)
    path = tmp_path / "words.pkl"
    path.write_bytes(pickle.dumps([storage[:k] for k in range((1 << 20) - 3, 1 << 20)]))
    assert len(read_plain_pickle(path)) == 3  # each came with a storage of its own
    path.write_bytes(pickle.dumps(_Views(storage, 40)))
    with pytest.raises(SweettokError, match="larger than their file"):
        read_plain_pickle(path)
    views = {f"w{k}": storage[k:] for k in range(40)}
    for state in (views, {"w": torch.zeros(1).expand(1 << 20, 1 << 12)}):
        torch.save(state, tmp_path / "a.pt")
        with pytest.raises(SweettokError, match="larger than what their file holds"):
            write_model(
                tmp_path / "model",
                name="a",
                family="vidtok-kl",
                config={},
                state=read_checkpoint(tmp_path / "a.pt").state,
            )
    assert not (tmp_path / "model").exists()


class _View:
    def __init__(self, storage: Any) -> None:
        self.storage = storage

    def __reduce__(self) -> tuple[Any, ...]:
        whole = (1 << 20,)
        return torch._utils._rebuild_tensor_v2, (self.storage, 0, whole, (1,), False, {})


class _Views:
    """Many views of one storage, as a pickler writes them that knows the storage again."""

    def __init__(self, tensor: torch.Tensor, count: int) -> None:
        storage = tensor._typed_storage()
        self.views = [_View(storage) for _ in range(count)]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self.views,)


def saved(path: Path, **options: Any) -> bytes:
    torch.save(STATE, path, **options)
    return path.read_bytes()


def test_a_flipped_bit_anywhere_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    whole = saved(path)
    for place in range(0, len(whole), 7):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(spoilt)
        try:
            found = read_checkpoint(path).state
        except SweettokError as error:
            assert len(str(error)) < 400 and "issue" not in str(error) and "\n" not in str(error)
            continue
        assert found.keys() == STATE.keys() and all(found[name].equal(STATE[name]) for name in STATE)


def test_a_list_of_records_that_lies_elsewhere_is_damage(tmp_path: Path) -> None:
    whole = bytearray(saved(tmp_path / "a.pt"))
    place = whole.rfind(b"PK\x06\x06") + 48  # torch states it in the longer form
    whole[place : place + 4] = b"\xff\xff\xff\x7f"
    stream = io.BytesIO()
    np.savez(stream, meta=np.array("{}"))
    tokens = bytearray(stream.getvalue())
    place = tokens.rfind(b"PK\x05\x06") + 16
    tokens[place : place + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.pt").write_bytes(whole)
    with pytest.raises(SweettokError, match=r"a\.pt cannot be read \(it is .*fetch it again"):
        read_checkpoint(tmp_path / "a.pt")
    (tmp_path / "a.npz").write_bytes(tokens)
    with pytest.raises(SweettokError, match="damaged or cut-short token file"):
        read_tokens(tmp_path / "a.npz")


@pytest.mark.parametrize("sized", [(24,), (20, 24)], ids=["unpacked", "both"])
def test_a_record_that_states_gigabytes_is_damage(tmp_path: Path, sized: tuple[int, ...]) -> None:
    """Before anybody reads that many bytes; without a sum nobody finds out by reading."""
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    place = content.index(b"PK\x01\x02")
    for field in sized:
        content[place + field : place + field + 4] = b"\xf0\xff\xff\xff"
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(SweettokError, match=r"a\.pt cannot be read \(it is no whole archive\)"):
        read_checkpoint(tmp_path / "a.pt")


def test_archives_without_sums_are_read(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        saved(tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read_checkpoint(tmp_path / "a.pt").state["encoder.bias"].equal(STATE["encoder.bias"])


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_again_it_is_refused_and_not_misread(tmp_path: Path, how: int) -> None:
    saved(tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w", how) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(SweettokError, match="its records are compressed"):
        read_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize("content", [b"\0\0\0\x20ftypisom", b"weights", b"", b"\x89PNG\r\n", b"(lp0\n."])
def test_what_is_no_checkpoint_is_called_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(SweettokError, match=r"clip\.mp4 is no checkpoint: it begins as no file"):
        read_checkpoint(tmp_path / "clip.mp4")


@pytest.mark.parametrize("content", [b"\x80\x02}q\x00.", b"\x80\x02\xff.", b"PK\x03\x04 ", b"\x80" * 9])
def test_no_word_of_torch_is_heard(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(SweettokError, match=r"a\.pt cannot be read \(it is .*\); fetch it again\.$"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_real_pickles_pass(protocol: int) -> None:
    pairs = [(f"word {k}", f"other {k % 7}") for k in range(3000)]
    nested: Any = {
        "pairs": pairs,
        "again": pairs,
        "set": frozenset(pairs),
        "big": 10**40,
        "bytes": bytes(10**6),
    }
    for _ in range(8):
        nested = {"inner": nested, "list": [1.5, None, True, -3, 1 << 33]}
    content = pickle.dumps(nested, protocol)
    assert check_pickle(content) == len(content)
    stream = io.BytesIO()
    torch.save({"a": STATE, "optimizer": {"groups": [{"params": list(range(500))}]}}, stream)
    with zipfile.ZipFile(stream) as archive:
        check_pickle(archive.read("archive/data.pkl"))
