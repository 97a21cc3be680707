"""Pickles, and checkpoints of torch: damaged, written by hand, and archives whose content was changed."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from small_models import SAVE

from sweettok_cli.models.sweettok.published_words import read_pickled_words
from sweettok_cli.storage.plain_pickle import read_plain_pickle
from tests.published_files import save_accelerate

from .mutation import NUMBERS, damaged, displaced, disturbed, spelt
from .verdict import NAME, ODD, Verdict

_PLAIN = {
    "text": ("wörd", b"bytes", 1, 2.5, True, None, 1 << 70, -3),
    "lists": [[1, 2], {3}, frozenset([4]), {"a": {"b": [()]}}],
    "tensor": torch.arange(32.0).reshape(4, 8),
    "vector": torch.arange(32.0).reshape(4, 8)[1],
}


_FORMATS = (
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.bool,
    torch.complex64,
    torch.uint16,
)
with warnings.catch_warnings():  # nested and sparse ones are said to be unfinished
    warnings.simplefilter("ignore")
    _ODD_TENSORS = (
        torch.ones(1).expand(1 << 40),
        torch.ones(4).as_strided((1 << 20, 1 << 12), (0, 0)),
        torch.ones(0),
        torch.tensor(1.0),
        torch.full((8,), torch.nan),
        torch.eye(4).to_sparse(),
        torch.eye(4).to_sparse_csr(),
        torch.ones(8, device="meta"),
        torch.ones(8, dtype=torch.complex64).conj(),
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        torch.quantize_per_tensor(torch.ones(8), 0.1, 0, torch.quint8),
        *(
            torch.zeros(8, dtype=torch.uint8).view(kind)
            for kind in (torch.bits8, torch.float8_e5m2, torch.bool)
        ),
        *(torch.ones(8).to(kind) for kind in _FORMATS),
        torch.nn.Parameter(torch.ones(8)),
    )
_ODD_VALUES = (
    *_ODD_TENSORS,
    *(None, True, "x", b"x" * 8, [1] * 8, [[1], [1, 2]], {}, {1}, (), 1 << 3000, float("nan"), 1j),
    *(np.ones(8, kind) for kind in ("f2", "f8", "i8", ">f4", "?", "c16", "U1", "S1", "O", "M8[s]")),
    *(np.ones((1, 1, 8)), np.full(8, 1e300), np.ones(()), np.float32(2), np.ones((2, 4))[:, ::2]),
)


@dataclass(frozen=True)
class Seeds:
    """Whole files: plain pickles and checkpoints; the tensors of these, and their digest."""

    plain: list[bytes]
    state: dict[str, torch.Tensor]
    checkpoints: list[bytes]
    digest: str


def make_seeds(shelf: Path) -> Seeds:
    """Pickles of every protocol, one small VidTok as archive and as pickle."""
    plain = [pickle.dumps(_PLAIN, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    SAVE["vidtok-fsq-causal"](shelf / "vidtok")
    state = load_file(shelf / "vidtok" / "model.safetensors")
    checkpoints = []
    for archive in (True, False):
        saved = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, saved, _use_new_zipfile_serialization=archive)
        checkpoints.append(saved.getvalue())
    return Seeds(plain, state, checkpoints, _digest(state))


_NAMES_OF_WORDS = (
    ("adj_code_book_num", "noun_code_book_num", "adj_noun_edges", "adj_code_book_vec", "noun_code_book_vec"),
    ("adverb_code_book_num", "verb_code_book_num", "verb_adverb_edges", "adverb_vec", "verb_vec"),
)


def _words(which: int, random: Random | None = None) -> bytes:
    """One of the two files of a word prior; with some value in it that is another."""
    modifiers, heads = ([f"{kind}{number}" for number in range(6)] for kind in ("modifier", "head"))
    parts: list[Any] = [
        dict.fromkeys(modifiers, 20),
        dict.fromkeys(heads, 20),
        list(zip(modifiers, heads, strict=True)),
        {word: torch.ones(1, 1, 8) for word in modifiers},
        {word: torch.ones(1, 1, 8) for word in heads},
    ]
    if random is not None:
        part, value = random.choice(parts), random.choice(_ODD_VALUES)
        if isinstance(part, dict) and random.random() < 0.3:
            part[random.choice(("", "a\nb", "x" * 999, "\ud800", 3, None, (), "modifier1 "))] = value
        else:
            part[random.choice(list(part)) if isinstance(part, dict) else random.randrange(6)] = value
    content = dict(zip(_NAMES_OF_WORDS[which], parts, strict=True))
    if random is None or random.random() < 0.7:
        return pickle.dumps(content, random.randrange(6) if random else None)
    saved = io.BytesIO()
    torch.save(content, saved)
    return saved.getvalue()


def attempt(seeds: Seeds, random: Random, folder: Path) -> list[str]:
    """Read one pickle, as data or as the words of a prior, or convert one checkpoint."""
    verdict = Verdict()
    name = f"{random.choice(ODD) if random.random() < 0.05 else ''}{NAME}"
    if random.random() < 0.4:
        _convert(seeds, random, folder / f"{name}.pt", verdict)
    else:
        path = folder / f"{name}.pkl"
        if random.random() < 0.4:
            which = random.randrange(2)
            good = folder / "other.pkl"
            good.write_bytes(_words(1 - which))
            path.write_bytes(
                _words(which, random) if random.random() < 0.5 else _mutated(_words(which), random)
            )
            pair = (path, good) if which == 0 else (good, path)
            if random.random() < 0.05:
                displaced(path, random)
            verdict.call(f"words of {path}", lambda: read_pickled_words(*pair))
            good.unlink()
        else:
            path.write_bytes(_mutated(random.choice(seeds.plain), random))
            verdict.call(f"read {path}", lambda: read_plain_pickle(path))
        verdict.left(folder, path)
    return verdict.faults


def _convert(seeds: Seeds, random: Random, path: Path, verdict: Verdict) -> None:
    which = random.randrange(2)
    data = seeds.checkpoints[which]
    exact = False
    if which == 1 or random.random() < 0.2:
        data = _mutated(data, random)
    elif random.random() < 0.6:
        data, exact = _flipped(data, random), True
    else:
        data = _repacked(data, random)
    odd = random.random() < 0.25
    if not odd:
        path.write_bytes(data)
    elif random.random() < 0.5:
        path.write_bytes(_odd(seeds.state, random))
    else:
        _shards(path, seeds.state, random)
    out = path.with_name(f"{NAME}-model")
    kind = random.choice(("vidtok", "vidtok", "omnitokenizer", "vidtok-fsq-causal-488-32768"))
    done = verdict.command("models", "convert", path, "--as", kind, "-o", out)
    verdict.left(path.parent, path, *[out] * (done is not None))
    if done is not None:
        verdict.holds(verdict.command("models", "verify", out) is not None, "converted it cannot be opened")
    if done is not None and exact and not odd:
        found = _digest(load_file(out / "model.safetensors"))
        verdict.holds(found == seeds.digest, f"other weights than were saved passed: {path}")


def _odd(state: dict[str, torch.Tensor], random: Random) -> bytes:
    """One tensor is another than the network has, or of a kind that it never has, or no tensor."""
    name, odd = random.choice([*state, "x"]), random.choice(_ODD_VALUES)
    if name in state and random.random() < 0.5:
        odd = state[name].to(random.choice(_FORMATS))
    saved = io.BytesIO()
    torch.save(
        {"state_dict": {**state, name: odd}}, saved, _use_new_zipfile_serialization=random.random() < 0.8
    )
    return saved.getvalue()


def _shards(folder: Path, state: dict[str, torch.Tensor], random: Random) -> None:
    """A folder of Accelerate, in which the index or a piece is another."""
    save_accelerate(folder, state, shards=2, suffix=random.choice((".bin", ".safetensors")))
    path = random.choice(sorted(folder.iterdir()))
    if random.random() < 0.2:
        displaced(path, random)
    elif path.suffix == ".json":
        text = spelt(disturbed(json.loads(path.read_text()), random))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    else:
        path.write_bytes(damaged(path.read_bytes(), random))


def _digest(state: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _flipped(data: bytes, random: Random) -> bytes:
    """A few bits, anywhere."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 4))):
        at = random.randrange(len(found)) if random.random() < 0.5 else -1 - random.randrange(4096)
        found[at] ^= 1 << random.randrange(8)
    return bytes(found)


def _repacked(data: bytes, random: Random) -> bytes:
    """An archive of other members behind right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in members if name.endswith("/data.pkl"))
    what = random.random()
    if what < 0.6:
        members[pickled] = _mutated(members[pickled], random)
    elif what < 0.8:
        name = random.choice(list(members))
        members[name] = damaged(members[name], random) if random.random() < 0.5 else b""
    elif what < 0.9:
        del members[random.choice(list(members))]
    else:
        members[random.choice(("a/../../x", "/x", "archive/data/99", "x" * 60_000))] = b"1"
    packed = io.BytesIO()
    packing = zipfile.ZIP_STORED if random.random() < 0.9 else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(packed, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _mutated(data: bytes, random: Random) -> bytes:
    what = random.random()
    if what < 0.35:
        return damaged(data, random)
    if what < 0.6:
        return random.choice(_PROGRAMS)(random)
    return _reordered(data, random)


def _reordered(data: bytes, random: Random) -> bytes:
    """Whole instructions of a pickle that are left out, repeated, swapped or put in."""
    try:
        places = [place for _, _, place in pickletools.genops(data) if place is not None]
    except Exception:  # an older file of torch goes on with other pickles
        return damaged(data, random)
    ops = [data[begin:end] for begin, end in zip(places, [*places[1:], len(data)], strict=True)]
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(ops))
        match random.randrange(5):
            case 0:
                del ops[at]
            case 1:
                ops[at:at] = [ops[at]] * random.choice((1, 2, 1000 if len(ops[at]) < 1000 else 2))
            case 2 if ops[at][:1] in _WHOLE:
                number = random.choice(NUMBERS)
                ops[at] = pickle.INT + f"{number}\n".encode() if random.random() < 0.5 else _binary(number)
            case 2:
                other = random.randrange(len(ops))
                ops[at], ops[other] = ops[other], ops[at]
            case _:
                ops.insert(at, random.choice(_INSTRUCTIONS)(random))
        if not ops:
            break
    # Frames tell lengths that are no longer right.
    return b"".join(op for op in ops if not (op[:1] == pickle.FRAME and random.random() < 0.9))


_WHOLE = (pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1)


def _binary(number: int) -> bytes:
    return pickle.BININT + (number & 0xFFFFFFFF).to_bytes(4, "little")


def _long(code: bytes, form: str) -> Callable[[Random], bytes]:
    """An instruction with a number, such as a length or a place in the memory."""
    size = struct.calcsize(form)
    return lambda random: code + (random.choice(NUMBERS) & ((1 << 8 * size) - 1)).to_bytes(size, "little")


_INSTRUCTIONS: tuple[Callable[[Random], bytes], ...] = (
    *(_long(code, "<B") for code in (pickle.BINGET, pickle.BINPUT, pickle.BININT1, pickle.LONG1)),
    *(
        _long(code, "<I")
        for code in (pickle.LONG_BINGET, pickle.LONG_BINPUT, pickle.LONG4, pickle.BINUNICODE)
    ),
    *(_long(code, "<I") for code in (pickle.BINBYTES, pickle.BINSTRING, pickle.EXT4, pickle.BININT)),
    *(_long(code, "<Q") for code in (pickle.BINBYTES8, pickle.BINUNICODE8, pickle.BYTEARRAY8, pickle.FRAME)),
    lambda random: bytes([random.randrange(256)]),
    lambda random: random.choice(
        (pickle.DUP, pickle.POP, pickle.MARK, pickle.REDUCE, pickle.BUILD, b"N", b"}")
    ),
    lambda random: random.choice(
        (pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.STACK_GLOBAL, pickle.TUPLE2, b"]a")
    ),
    lambda random: random.choice((pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.BINPERSID, b"i\n\n")),
    lambda random: b"F" + random.choice((b"nan", b"1e999", b"1_0", b"-0", b"x", b"0x1p4")) + b"\n",
    lambda random: b"I" + b"9" * random.choice((3, 300, 100_000)) + b"\n",
    lambda random: b"c" + random.choice(_NAMES) + b"\n",
    lambda random: b"P" + b"x" * random.choice((1, 10_000)) + b"\n",
)
_NAMES = (
    *(b"os\nsystem", b"builtins\neval", b"builtins\nset", b"collections\nOrderedDict", b"numpy\ndtype"),
    *(b"torch._utils\n_rebuild_tensor_v2", b"torch\nFloatStorage", b"argparse\nNamespace", b"x\x1b[2J\ny"),
    *(b"numpy._core.multiarray\n_reconstruct", b"torch.storage\n_load_from_bytes", b"_codecs\nencode"),
    *(b"torch._utils\n_rebuild_parameter", b"collections\ndefaultdict", b"a" * 5000 + b"\nb", b"\xff\n\xff"),
)


def _doubled(random: Random) -> bytes:
    """Lists of lists of the same lists: forty instructions, and more nodes than there are atoms."""
    depth = random.choice((10, 40, 100, 1000))
    twice = random.choice((b"2\x86", b"2\x86", b"q\x00]h\x00ah\x00a"))  # a tuple of both; a list of both
    last = random.choice((b"", b"\x85R"))  # given to what is no function
    return b"\x80\x04" + b"cbuiltins\nint\n" * bool(last) + b"]" + twice * depth + last + b"."


def _nested(random: Random) -> bytes:
    """As deep as it goes."""
    depth = random.choice((100, 5000, 1_000_000))
    one = random.choice((b"]", b"(", b"}", b")"))
    close = {b"]": b"a", b"(": b"t", b"}": b"", b")": b"\x85"}[one]
    return b"\x80\x04" + one * depth + close * (depth - 1) + b"."


def _called(random: Random) -> bytes:
    """A permitted or forbidden name that is called with anything."""
    argument = random.choice((b"N", b"K\x01", b"]", b"}", b"\x8c\x01x", b"C\x01x", b"G" + b"\x7f\xf8" * 4))
    count = random.choice((b")", argument + b"\x85", argument * 2 + b"\x86", argument * 3 + b"\x87"))
    state = random.choice((b"", b"", b"Nb", b"}b", b"K\x01N\x86b"))
    name = b"c" + random.choice(_NAMES) + b"\n"
    return b"\x80\x02" + name + count + random.choice((b"R", b"\x81", b"R")) + state + b"."


def _one(random: Random) -> bytes:
    """One instruction and the end."""
    start = random.choice((b"", b"\x80\x04", b"\x80\x05", b"\x80\xff", b"N", b"]("))
    return (
        start + b"".join(random.choice(_INSTRUCTIONS)(random) for _ in range(random.randrange(1, 6))) + b"."
    )


def _large(random: Random) -> bytes:
    """Megabytes that say little."""
    count = random.choice((1000, 300_000))
    kind = random.choice((b"N", b"K\x01", b"]", b"}", b"\x8c\x01x\x94", b"h\x00"))
    return b"\x80\x04]\x94(" + kind * count + b"e."


_PROGRAMS: tuple[Callable[[Random], bytes], ...] = (_doubled, _nested, _called, _called, _one, _one, _large)
