"""Model folders of every family: other values in their JSON, other headers and numbers in their weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save
from safetensors.torch import load as torch_load
from safetensors.torch import save as torch_save
from small_models import SAVE
from video.torture import make

from .mutation import NUMBERS, Raw, damaged, displaced, disturbed, packed, spelt
from .verdict import NAME, ODD, Verdict

_MODELS = ("sweettok", "omnitokenizer", "vidtok-fsq-causal", "vidtok-fsq-causal-v1.1", "vidtok-kl-causal")
_CONFIG, _WEIGHTS, _WORDS = "config.json", "model.safetensors", "words.json"
_FORMATS = (
    *(torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64),
    *(torch.int64, torch.int32, torch.int8, torch.uint8, torch.uint16, torch.bool),
)
_SHARE_OF_ENCODED = 0.5


@dataclass(frozen=True)
class Seeds:
    """The files of whole model folders, and a clip."""

    folders: list[dict[str, bytes]]
    clip: Path


def make_seeds(shelf: Path) -> Seeds:
    """Small models of every family."""
    folders = []
    for name in _MODELS:
        folder = shelf / f"{NAME}-{name}"
        folder.mkdir()
        SAVE[name](folder)
        folders.append({path.name: path.read_bytes() for path in folder.iterdir()})
    return Seeds(folders, make(shelf / "clip.mp4", frames=3))


def attempt(seeds: Seeds, random: Random, folder: Path) -> list[str]:
    """Look at one model folder, check it, and encode a clip with it."""
    files = dict(random.choice(seeds.folders))
    random.choices((_weights, _json, _any), (30, 60, 10))[0](files, random)
    path = folder / f"{random.choice(ODD) if random.random() < 0.05 else ''}{NAME}"
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    if random.random() < 0.04:
        displaced(path / random.choice(sorted(files)), random)
    verdict = Verdict()
    told = verdict.command("info", path, *random.choice(([], ["--json"])))
    verdict.command("models", "verify", path, *random.choice(([], ["--json"])))
    if told is not None or random.random() < 0.1:
        tokens = folder / "tokens.npz"
        done = verdict.command("encode", seeds.clip, "--model", path, "-o", tokens)
        if done is not None and random.random() < _SHARE_OF_ENCODED:
            out = folder / "back.mp4"
            verdict.command("decode", tokens, "--model", path, "-o", out)
            out.unlink(missing_ok=True)
        if done is not None and _WORDS in files:
            verdict.command("words", tokens, "--model", path, *random.choice(([], ["--json"])))
        tokens.unlink(missing_ok=True)
    verdict.left(folder, path)
    verdict.left(path, *(path / name for name in files))
    return verdict.faults


def _any(files: dict[str, bytes], random: Random) -> None:
    """Bytes of a file, one that is missing or empty, one of another model."""
    name = random.choice(list(files))
    what = random.random()
    if what < 0.15:
        del files[name]
    elif what < 0.25:
        files[name] = b""
    else:
        files[name] = damaged(files[name], random)
        if random.random() < 0.5:
            _sign(files)


def _json(files: dict[str, bytes], random: Random) -> None:
    """Values of the configuration, most often of the network's, and of the words."""
    name = _WORDS if _WORDS in files and random.random() < 0.4 else _CONFIG
    table = json.loads(files[name])
    if name == _CONFIG and random.random() < 0.75:
        table["config"] = disturbed(table["config"], random)
    else:
        table = disturbed(table, random)
    text = spelt(table)
    if random.random() < 0.03:
        text = random.choice(("", "null", "[]", "{}", text[:-2], spelt(Raw("[" * 100_000)), "\ufeff" + text))
    files[name] = text.encode("utf-8", "surrogatepass")


def _weights(files: dict[str, bytes], random: Random) -> None:
    """What the header says of a tensor, the length of the header, or the tensors' numbers and shapes."""
    data = files[_WEIGHTS]
    length = int.from_bytes(data[:8], "little")
    table, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if random.random() < 0.2:
        files[_WEIGHTS] = _reformatted(data, random)
    elif random.random() < 0.5:
        names = [name for name in table if name != "__metadata__"]
        for _ in range(random.choice((1, 1, 2))):
            _change_entry(table, random.choice(names), random)
        files[_WEIGHTS] = packed(spelt(table).encode("utf-8", "surrogatepass")) + body
        if random.random() < 0.1:
            size = random.choice(NUMBERS) & ((1 << 64) - 1)
            files[_WEIGHTS] = size.to_bytes(8, "little") + files[_WEIGHTS][8:]
    else:
        tensors: dict[str, np.ndarray] = {name: array.copy() for name, array in load(data).items()}
        name = random.choice([*tensors, *[name for name in tensors if "edges" in name or "vectors" in name]])
        tensors[name] = _other(tensors[name], random)
        if random.random() < 0.1:
            del tensors[name]
        files[_WEIGHTS] = save(tensors, {"format": "pt"})
    if random.random() < 0.9:
        _sign(files)


def _reformatted(data: bytes, random: Random) -> bytes:
    """One tensor, or all, in another number format."""
    state = torch_load(data)
    kind = random.choice(_FORMATS)
    names = list(state) if random.random() < 0.5 else [random.choice(list(state))]
    return torch_save({**state, **{name: state[name].to(kind) for name in names}}, {"format": "pt"})


def _change_entry(table: dict[str, Any], name: str, random: Random) -> None:
    entry, what = table.get(name), random.random()
    if not isinstance(entry, dict):
        return
    if what < 0.2:
        entry["dtype"] = random.choice(("F64", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "X", ""))
    elif what < 0.4:
        entry["shape"] = [random.choice(NUMBERS) for _ in range(random.choice((0, 1, 2, 4, 40)))]
    elif what < 0.6:
        entry["data_offsets"] = [random.choice(NUMBERS) for _ in range(2)]
    elif what < 0.7:
        table[random.choice(("", "x" * 5000, "a\nb", f"{name}.weight", "__metadata__"))] = table.pop(name)
    else:
        table[name] = disturbed(entry, random)


def _other(array: np.ndarray, random: Random) -> np.ndarray:
    if random.random() < 0.3:
        return np.ascontiguousarray(
            random.choice(
                (array[..., :0], array[None], array.reshape(-1), array[:1], np.concatenate([array] * 2))
            )
            if array.ndim
            else array[None]
        )
    if array.dtype.kind == "f":
        value: float = random.choice((float("nan"), float("inf"), float("-inf"), 0.0, 1e30, -1e30, 1e-40))
    else:
        value = random.choice((-1, 10**6, 1 << 31, -(1 << 62), 30, 49, 50))
    if random.random() < 0.5:
        array[...] = np.array(value).astype(array.dtype)
    elif array.size:
        array.reshape(-1)[random.randrange(array.size)] = value
    return array


def _sign(files: dict[str, bytes]) -> None:
    """Write the digest of the weights into the configuration, as whoever meant harm would."""
    try:
        table = json.loads(files[_CONFIG])
        table["weights_sha256"] = hashlib.sha256(files[_WEIGHTS]).hexdigest()
        files[_CONFIG] = json.dumps(table).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return
