"""Pickles, and checkpoints of torch: damaged, written by hand, and archives whose content was changed."""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file
from small_models import SAVE

from sweettok_cli.models.sweettok.published_words import read_pickled_words
from sweettok_cli.storage.plain_pickle import read_plain_pickle

from .mutation import NUMBERS, damaged
from .verdict import NAME, ODD, Verdict

_PLAIN = {
    "text": ("wörd", b"bytes", 1, 2.5, True, None, 1 << 70, -3),
    "lists": [[1, 2], {3}, frozenset([4]), {"a": {"b": [()]}}],
    "tensor": torch.arange(32.0).reshape(4, 8),
    "vector": torch.arange(32.0).reshape(4, 8)[1],
}


@dataclass(frozen=True)
class Seeds:
    """Whole files: plain pickles, the two of a word prior, checkpoints, the digest of their tensors."""

    plain: list[bytes]
    words: tuple[bytes, bytes]
    checkpoints: list[bytes]
    digest: str


def make_seeds(shelf: Path) -> Seeds:
    """Pickles of every protocol, words in the published layout, one small VidTok as archive and as pickle."""
    plain = [pickle.dumps(_PLAIN, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    SAVE["vidtok-fsq-causal"](shelf / "vidtok")
    state = load_file(shelf / "vidtok" / "model.safetensors")
    checkpoints = []
    for archive in (True, False):
        saved = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, saved, _use_new_zipfile_serialization=archive)
        checkpoints.append(saved.getvalue())
    words = (
        _words(
            "adj_code_book_num",
            "noun_code_book_num",
            "adj_noun_edges",
            "adj_code_book_vec",
            "noun_code_book_vec",
        ),
        _words("adverb_code_book_num", "verb_code_book_num", "verb_adverb_edges", "adverb_vec", "verb_vec"),
    )
    return Seeds(plain, words, checkpoints, _digest(state))


def _words(
    modifier_counts: str, head_counts: str, edges: str, modifier_vectors: str, head_vectors: str
) -> bytes:
    modifiers, heads = ([f"{kind}{number}" for number in range(6)] for kind in ("modifier", "head"))
    return pickle.dumps(
        {
            modifier_counts: dict.fromkeys(modifiers, 20),
            head_counts: dict.fromkeys(heads, 20),
            edges: list(zip(modifiers, heads, strict=True)),
            modifier_vectors: {word: torch.ones(1, 1, 8) for word in modifiers},
            head_vectors: {word: torch.ones(1, 1, 8) for word in heads},
        }
    )


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
            good.write_bytes(seeds.words[1 - which])
            path.write_bytes(_mutated(seeds.words[which], random))
            pair = (path, good) if which == 0 else (good, path)
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
    path.write_bytes(data)
    out = path.with_name("model")
    kind = random.choice(("vidtok", "vidtok", "omnitokenizer", "vidtok-fsq-causal-488-32768"))
    done = verdict.command("models", "convert", path, "--as", kind, "-o", out)
    verdict.left(path.parent, path, *[out] * (done is not None))
    if done is not None and exact:
        found = _digest(load_file(out / "model.safetensors"))
        verdict.holds(found == seeds.digest, f"other weights than were saved passed: {path}")


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
                ops[at:at] = [ops[at]] * random.choice((1, 2, 1000))
            case 2:
                other = random.randrange(len(ops))
                ops[at], ops[other] = ops[other], ops[at]
            case _:
                ops.insert(at, random.choice(_INSTRUCTIONS)(random))
        if not ops:
            break
    # Frames tell lengths that are no longer right.
    return b"".join(op for op in ops if not (op[:1] == pickle.FRAME and random.random() < 0.9))


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
