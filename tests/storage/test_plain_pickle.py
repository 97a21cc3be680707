"""Plain data comes back from pickles; anything else is named, and nothing of it runs."""

from __future__ import annotations

import collections
import functools
import importlib
import io
import operator
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.plain_pickle import read_plain_pickle, unwrapped

WHOLE = torch.arange(32.0).reshape(4, 8)
DATA: dict[str, Any] = {
    "vector": WHOLE[1],
    "transposed": WHOLE.T,
    "half": torch.ones(2, 3).half(),
    "bfloat16": torch.ones(2, 3).bfloat16(),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "whole numbers": torch.arange(3),
    "single": torch.tensor(3.0),
    "no tensor": torch.zeros(0, 3),
    "array": np.arange(6.0).reshape(2, 3),
    "big-endian columns": np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)),
    "no array": np.zeros((0, 3)),
    "numpy number": np.float32(2.5),
    "numpy text": np.str_("wörd"),
    "counts": collections.Counter("aab"),
    "defaults": collections.defaultdict(list, {"x": [1]}),
    "number defaults": collections.defaultdict(int, {"x": 1}),
    "ordered": collections.OrderedDict(b=1, a=2),
    "sets": [{1, 2}, frozenset([3])],
    "plain": ("text", b"bytes", b"", 1, 2.5, True, None),
}


def same(got: Any, expected: Any) -> bool:
    got = unwrapped(got)
    if isinstance(expected, torch.Tensor):
        return got.dtype == expected.dtype and got.shape == expected.shape and got.equal(expected)
    if isinstance(expected, np.ndarray):
        return got.dtype == expected.dtype and got.shape == expected.shape and np.array_equal(got, expected)
    return got == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(DATA, protocol=protocol))
    data = read_plain_pickle(path)
    assert [name for name in DATA if not same(data[name], DATA[name])] == []
    assert type(data["ordered"]) is type(data["counts"]) is type(data["defaults"]) is dict
    assert list(data["ordered"]) == ["b", "a"]


def test_a_vector_does_not_keep_what_it_was_cut_from(tmp_path: Path) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(torch.zeros(1000, 4)[1]))
    assert read_plain_pickle(path).untyped_storage().nbytes() == 16


@pytest.mark.parametrize("archive", [True, False])
def test_files_of_torch_are_read_too(tmp_path: Path, archive: bool) -> None:
    path = tmp_path / "data.pkl"
    torch.save({"a": WHOLE}, path, _use_new_zipfile_serialization=archive)
    assert read_plain_pickle(path)["a"].equal(WHOLE)


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def mark(path: str) -> str:
    return f"touch {path}"


ATTACKS: dict[str, tuple[Callable[[str], Any], str]] = {
    "system": (lambda p: Call(os.system, mark(p)), "system"),
    "process": (lambda p: Call(subprocess.Popen, ["touch", p]), "Popen"),
    "eval": (lambda p: Call(eval, f"open({p!r}, 'w')"), ".eval"),
    "exec": (lambda p: Call(exec, f"open({p!r}, 'w')"), ".exec"),
    "open": (lambda p: Call(open, p, "w"), "open"),
    "import": (lambda p: Call(importlib.import_module, "antigravity"), "importlib.import_module"),
    "getattr": (lambda p: Call(getattr, Call(__import__, "os"), "system"), ".getattr"),
    "attribute of a module": (
        lambda p: Call(operator.attrgetter("system"), Call(__import__, "os")),
        "operator.attrgetter",
    ),
    "partial": (lambda p: Call(functools.partial(os.system, mark(p))), "functools.partial"),
    "named tuple": (lambda p: Call(collections.namedtuple, "A", "x"), "collections.namedtuple"),
    "map": (lambda p: Call(map, os.system, [mark(p)]), "map"),
    "default of a dict": (
        lambda p: collections.defaultdict(functools.partial(os.system, mark(p))),
        "functools.partial",
    ),
    "numpy.load": (lambda p: Call(np.load, p, None, True), "numpy"),
    "array of objects": (
        lambda p: np.array([Call(os.system, mark(p))], dtype=object),
        "numpy arrays of 'O8'",
    ),
    "record array": (lambda p: np.zeros(2, dtype=[("a", "f4")]), "numpy arrays of"),
    "memory map": (lambda p: Call(np.memmap, p, "u1", "w+", 0, (4,)), "numpy.memmap"),
    "torch.load": (lambda p: Call(torch.load, p), "torch.serialization.load"),
    "tensor with a harmful storage": (
        lambda p: Call(torch.storage._load_from_bytes, saved(Call(os.system, mark(p)))),
        "system",
    ),
    "tensor with a harmful old storage": (
        lambda p: Call(
            torch.storage._load_from_bytes,
            saved(Call(os.system, mark(p)), _use_new_zipfile_serialization=False),
        ),
        "system",
    ),
    "pickle in a pickle": (lambda p: Call(pickle.loads, pickle.dumps(Call(os.system, mark(p)))), "loads"),
    "hooks of a tensor": (
        lambda p: Call(torch._utils._rebuild_tensor_v2, [1.0], 0, (1,), (1,), False, None),
        "a tensor without a storage",
    ),
    "other text codecs": (lambda p: Call(__import__("_codecs").encode, "x", "rot13"), "_codecs.encode"),
    "module": (lambda p: torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
}


@pytest.mark.parametrize(("attack", "named"), ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_runs(tmp_path: Path, attack: Callable[[str], Any], named: str, protocol: int) -> None:
    marker, path = tmp_path / "ran", tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps({"words": attack(str(marker))}, protocol=protocol))
    with pytest.raises(SweettokError, match=r"asks for .*no plain data; nothing in it was run") as caught:
        read_plain_pickle(path)
    assert named in str(caught.value)
    assert not marker.exists()


#: Programs that no pickler writes.
BYTES: dict[str, tuple[bytes, str]] = {
    "system by hand": (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
    "instance by hand": (b"(S'true'\nios\nsystem\n.", "os.system"),
    "attribute of what is allowed": (
        b"\x80\x04\x8c\x0bcollections\x8c\x20OrderedDict.__init__.__globals__\x93.",
        "collections.OrderedDict.__init__.__globals__",
    ),
    "class changed by its state": (b"ccollections\nCounter\n}S'update'\nI1\nsb.", "a change of"),
    "class changed by its slots": (b"\x80\x02ccollections\nCounter\nN}U\x06updateI1\ns\x86b.", "a change of"),
    "object from outside": (b"Pos.system\n.", "an object from outside"),
    "call of text": (b"\x80\x02c__builtin__\nstr\nI1\n\x85R.", "may only be named"),
    "shape of an array": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nc__builtin__\nint\n\x85R.",
        "array",
    ),
}


@pytest.mark.parametrize(("content", "named"), BYTES.values(), ids=BYTES)
def test_programs_written_by_hand(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    before = collections.Counter.update
    with pytest.raises(SweettokError, match="nothing in it was run") as caught:
        read_plain_pickle(path)
    assert named in str(caught.value)
    assert collections.Counter.update is before


class Storage:
    """Pickles as the four numbers of a tensor do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.arange(4.0)._typed_storage().__reduce__()


def rebuilt(storage: Any, offset: Any, size: Any, stride: Any) -> Call:
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (1, (4,), (1,)),
        (0, (2, 2), (3, 1)),
        (0, (1 << 40,), (0,)),
        (-1, (1,), (1,)),
        (0, (2,), (-1,)),
        (0, (True,), (1,)),
        (0, [2.0], [1]),
        ("0", (1,), (1,)),
    ],
)
def test_tensors_stay_within_their_bytes(tmp_path: Path, offset: Any, size: Any, stride: Any) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(rebuilt(Storage(), offset, size, stride)))
    with pytest.raises(SweettokError, match=r"larger than its bytes|a shape of"):
        read_plain_pickle(path)


DAMAGED = {
    "empty": b"",
    "text": b"no pickle at all",
    "cut": pickle.dumps(DATA["plain"])[:-3],
    "frame that is cut": pickle.dumps({"a": "b" * 100})[:40],
    "wrong stack": b"}}s.",
    "list as a key": b"}]I1\ns.",
    "sizes without strides": pickle.dumps(rebuilt(Storage(), 0, (2,), ())),
    "array of other size": pickle.dumps(np.zeros(4)).replace(b"K\x04\x85", b"K\x05\x85"),
    "a huge place in the memory": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "cut archive": saved({"a": WHOLE})[:-40],
    "cut storage": pickle.dumps(torch.ones(3)).replace(b"storage", b"sto"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    with pytest.raises(SweettokError, match=r"cannot be read as a pickle \(.*fetch it again\."):
        read_plain_pickle(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match=r"Cannot read .*words\.pkl \(No such file"):
        read_plain_pickle(tmp_path / "words.pkl")
