"""Token files: real ones of every family, damaged as bytes, as archives, as arrays and as descriptions."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
from small_levels import save_levelled
from small_models import SAVE
from video.torture import make

from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import read_tokens, write_tokens
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import clip_count
from sweettok_cli.tokens.ragged import COUNTED, counts_name, rows_in
from sweettok_cli.video import write_image
from sweettok_cli.zoo.load import load

from .mutation import NUMBERS, Raw, damaged, displaced, disturbed, spelt
from .verdict import NAME, ODD, Verdict

_SAVE = {
    "sweettok": SAVE["sweettok"],
    "levelled": save_levelled,
    **{name: SAVE[name] for name in ("omnitokenizer", "vidtok-fsq-causal-v1.1", "vidtok-kl-causal")},
}
_MOST_FRAMES = 200  # that are decoded here


@dataclass(frozen=True)
class Seeds:
    """Whole token files, and the model behind each with its facts."""

    files: list[bytes]
    models: list[Path]
    specs: list[TokenizerSpec]


def make_seeds(shelf: Path) -> Seeds:
    """Tokens of videos of steady and of varying rate, and of a picture, of small models of every family.

    Of SweetTok there is one with levels, too.
    """
    sources = [make(shelf / "clip.mp4", frames=18), make(shelf / "vary.mp4", frames=5, pts=[0, 2, 3, 7, 9])]
    picture = np.zeros((40, 50, 3), np.uint8)
    write_image(shelf / "photo.png", picture)
    sources.append(shelf / "photo.png")
    files, models, specs = [], [], []
    for name, save in _SAVE.items():
        save(shelf / name)
        tokenizer = load(str(shelf / name), "cpu")
        for source in sources if tokenizer.spec.images else sources[:2]:
            path = shelf / f"{name}-{source.stem}.npz"
            write_tokens(path, encode_video(source, tokenizer))
            files.append(path.read_bytes())
            models.append(shelf / name)
            specs.append(tokenizer.spec)
    return Seeds(files, models, specs)


def _ragged(
    spec: TokenizerSpec, clips: int, shapes: Mapping[str, Sequence[int]], random: Random
) -> dict[str, np.ndarray]:
    """Counts that may be, and the rows that they ask for."""
    draw, found = np.random.default_rng(random.randrange(1 << 30)), {}
    for name, most in spec.levels.items():
        least = ARRAYS[name].least or 0
        most = random.randint(least, most)
        counts = draw.integers(least, most + 1, (clips, *shapes[name][:-1]), np.uint8)
        size = (int(counts.sum()), shapes[name][-1])
        found[counts_name(name)] = counts
        found[name] = draw.integers(0, min(spec.codebooks[name]), size, np.uint16)
    return found


def attempt(seeds: Seeds, random: Random, folder: Path) -> list[str]:
    """Look at one token file, and decode and list the words of it if it may be."""
    which = random.randrange(len(seeds.files))
    (way,) = random.choices(_WAYS, (300, 150, 150, 300, 100, 1))
    data = way(seeds, seeds.files[which], random)
    path = folder / f"{random.choice(ODD) if random.random() < 0.1 else ''}{NAME}.npz"
    path.write_bytes(data)
    if random.random() < 0.01:
        displaced(path, random)
    verdict = Verdict()
    if random.random() < 0.3:
        verdict.command("info", path)
    as_json = verdict.command("info", path, "--json")
    verdict.left(folder, path)
    if as_json is None or json.loads(as_json)["frames"] > _MOST_FRAMES:
        return verdict.faults
    if random.random() < (0.5 if way in (_description, _extreme) else 0.1):
        _decode(verdict, path, seeds.models[which], image=json.loads(as_json)["image"])
    if random.random() < 0.1:
        verdict.command("words", path, "--model", seeds.models[which], *random.choice(([], ["--json"])))
    again = folder / "again.npz"
    tokens = read_tokens(path)
    verdict.call(f"write {path} again", lambda: write_tokens(again, tokens))
    verdict.holds(not again.exists() or read_tokens(again).meta == tokens.meta, "written it is another")
    return verdict.faults


def _decode(verdict: Verdict, path: Path, model: Path, image: bool) -> None:
    out = path.with_name(f"{NAME}.png" if image else f"{NAME}.mp4")
    done = verdict.command("decode", path, "--model", model, "-o", out)
    verdict.left(path.parent, path, *[out] * (done is not None))
    if done is None:
        return
    meta = read_tokens(path).meta
    told = verdict.command("info", out, "--json")
    if told is not None:
        found = json.loads(told)
        sides = (found["width"], found["height"], found["frames"] or meta.frames)
        verdict.holds(sides == (meta.width, meta.height, meta.frames), f"decoded to {sides}: {meta}")
        times = meta.frame_times()
        # The last frame of a varying rate is shown as long as the one before it.
        lasts = 2 * times[-1] - times[-2] - times[0] if times and len(times) > 1 else meta.duration or 0
        near = image or abs(found["seconds"] - lasts) <= max(Fraction(1, 5), lasts / 20)
        verdict.holds(near, f"decoded to {found['seconds']} s, not {float(lasts)}: {meta}")


def _bytes(seeds: Seeds, data: bytes, random: Random) -> bytes:
    return damaged(data, random, seeds.files)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: list[tuple[str, bytes]], random: Random, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as archive:
        if random.random() < 0.05:
            archive.comment = random.randbytes(random.choice((1, 65535)))
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def _archive(seeds: Seeds, data: bytes, random: Random) -> bytes:
    """Members that are renamed, repeated, missing, swapped, of other files, packed otherwise."""
    members = list(_members(data).items())
    at = random.randrange(len(members))
    name, content = members[at]
    other = list(_members(random.choice(seeds.files)).items())
    names = (
        ".npy",
        "/",
        "../x.npy",
        "meta",
        "meta.npy",
        "Meta.npy",
        "spatial.npy",
        "detail_counts.npy",
        "indices.npy",
        "latents.npy",
    )
    members = random.choice(
        (
            lambda: members[:at] + members[at + 1 :],
            lambda: [*members, members[at]],
            lambda: [*members, (random.choice((*names, "a\nb.npy", "x" * 60_000, "é\x1b.npy")), content)],
            lambda: [*members[:at], (random.choice(names), content), *members[at + 1 :]],
            lambda: [*members[:at], (name, random.choice(other)[1]), *members[at + 1 :]],
            lambda: [*members[:at], (name, members[at - 1][1]), *members[at + 1 :]],
            lambda: [(str(number), b"") for number in range(random.choice((1, 500)))],
            lambda: members[::-1],
        )
    )()
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    found = bytearray(_zipped(members, random, packing))
    if random.random() < 0.3:  # both headers of a member: versions, flags, packing, sizes
        for mark, shift in ((b"PK\x03\x04", 4), (b"PK\x01\x02", 6)):
            place = found.find(mark) + shift + random.randrange(24)
            found[place : place + 4] = (random.choice(NUMBERS) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(found)


def _arrays(seeds: Seeds, data: bytes, random: Random) -> bytes:
    """Headers and content of arrays behind right checksums."""
    members = _members(data)
    name = random.choice(list(members))
    if random.random() < 0.5:
        members[name] = damaged(members[name], random)
    else:
        shape = random.choice(
            ("()", "(1,)", "(3, 0, 3)", f"({random.choice(NUMBERS)},)", "(1, 16, 3)", "(1,1,16,3)", "None")
        )
        kind = random.choice(
            ("'<u2'", "'>u2'", "'<u4'", "'<f2'", "'<f8'", "'O'", "'<U9'", "'V8'", "'<U999999999'", "'S0'")
        )
        order = random.choice(("True", "False", "1"))
        text = random.choice(
            (
                f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}}}",
                f"{{'descr': [('a', {kind}, {shape})], 'fortran_order': False, 'shape': {shape}}}",
                "(" * 200 + ")" * 200,
                "[" * 90,
                "{'descr': " + "-" * 900 + "1}",
                "1" * 1000,
                "\0",
            )
        ).encode()
        version = random.choice((b"\x01\0", b"\x02\0", b"\x03\0"))
        size = len(text).to_bytes(2 if version == b"\x01\0" else 4, "little")
        body = members[name][128:] if random.random() < 0.5 else random.randbytes(96)
        members[name] = b"\x93NUMPY" + version + size + text + body
    return _zipped(list(members.items()), random)


_TIMES = ("rate", "time_base", "times", "sample_aspect_ratio", "frames", "overlap", "width", "height")
_RATIOS = (
    *("1/1000000", "1/3", "1000/1", "4611686018427387904/1", "1/4611686018427387904", "1000000007/998244353"),
    *("2147483647/2147483646", "2147483648/1", "1/2147483648", "1/90000", "240000/1001", "65536/65535"),
    *("10000/1", "1/100", "1/10000000", "10000000/1", "1/1000000000", "123456789/1000"),
)


def _description(seeds: Seeds, data: bytes, random: Random) -> bytes:
    """Descriptions that say something else; those of time and size more often, for they may be right."""
    members = _members(data)
    meta = json.loads(str(np.load(io.BytesIO(members["meta.npy"]))))
    if random.random() < 0.4:
        key = random.choice(_TIMES)
        ratio = random.choice((*_RATIOS, f"{random.choice(NUMBERS)}/{random.choice(NUMBERS)}"))
        span = random.choice((1, 2, 90_000, 1 << 20, 1 << 29, 1 << 31, 1 << 40, 1 << 53, 1 << 60))
        ticks = sorted(random.sample(range(span + meta["frames"]), meta["frames"]))
        meta |= {
            "times": {"times": ticks, "time_base": ratio},
            "width": {"width": random.randint(1, meta["padded_width"])},
            "height": {"height": random.randint(1, meta["padded_height"])},
            "frames": {"frames": meta["frames"] + random.choice((-1, 1, 2, 1 << 39))},
            "overlap": {"overlap": random.choice((0, 1, meta["clip_frames"] - 1))},
        }.get(key, {key: ratio})
    else:
        meta = disturbed(meta, random)
    text = spelt(meta)
    if random.random() < 0.05:
        text = random.choice(
            ("", "null", "[]", text + "x", text[:-1], spelt(Raw("[" * 100_000)), " " * 70_000)
        )
    stream = io.BytesIO()
    np.save(stream, np.array(text))
    members["meta.npy"] = stream.getvalue()
    return _zipped(list(members.items()), random)


#: Ratios at the edges of what may be.
_RATES = ("1000000/1", "999999/1", "240000/1001", "1/100", "1/1000000", "2147483647/2147483646", "25/1")
_STRETCHES = ("1/100", "100/1", "65536/65535", "2147483647/2147483646", "1/1", "1/1", "1/1")
_TICKS = ("1/1000000", "1/2147483647", "1/90000", "1001/30000", "1/1", "2147483646/2147483647")


def _extreme(seeds: Seeds, data: bytes, random: Random) -> bytes:
    """A description of something small, long, thin or fast, and arrays of the shapes that it asks for."""
    spec = seeds.specs[seeds.files.index(data)]
    meta = json.loads(str(np.load(io.BytesIO(_members(data)["meta.npy"]))))
    step, clip = spec.multiple, meta["clip_frames"]
    sides = [random.choice((1, 2, step - 1, step, step + 1, random.randint(1, 200))) for _ in range(2)]
    long = random.random() < 0.1
    if long:
        sides = random.sample((1, random.choice((1000, 2000))), 2)
    width, height = (-(-side // step) * step for side in sides)
    frames = 1 if meta["image"] or long else random.choice((1, 2, 3, clip - 1 or 1, clip, clip + 1, 40))
    meta |= {"width": sides[0], "height": sides[1], "padded_width": width, "padded_height": height}
    meta |= {"frames": frames, "rate": random.choice(_RATES)}
    meta |= {"sample_aspect_ratio": random.choice(_STRETCHES)}
    if spec.stream_frames is not None and not meta["image"]:
        meta["clip_frames"] = spec.stream_length(frames)
    elif random.random() < 0.3:
        meta["overlap"] = random.choice((0, 1, clip // 2, clip - 1))
    if "times" in meta or random.random() < 0.2:
        ticks = sorted(
            random.sample(range(random.choice((frames, 1 << 14, 1 << 20, 1 << 28, 1 << 60))), frames)
        )
        meta |= {"times": ticks, "time_base": random.choice(_TICKS)}
    shapes = spec.clip_shapes(height, width, meta["image"], meta["clip_frames"])
    meta["shapes"] = {name: list(shape) for name, shape in shapes.items()}
    clips = clip_count(frames, meta["clip_frames"], meta["overlap"])
    members = {}
    if spec.levels:
        members = _ragged(spec, clips, shapes, random)
        meta["rows"] = rows_in(members, spec.levels)
        shapes = {name: shape for name, shape in shapes.items() if name not in spec.levels}
    members["meta"] = np.array(json.dumps(meta))
    for name, shape in shapes.items():
        draw = np.random.default_rng(random.randrange(1 << 30))
        if name in spec.codebooks:
            kind = np.uint16 if max(spec.codebooks[name]) <= 1 << 16 else np.uint32
            members[name] = draw.integers(0, min(spec.codebooks[name]), (clips, *shape), kind)
        else:
            members[name] = (draw.standard_normal((clips, *shape)) * random.choice((0, 1, 9999))).astype("f2")
    packed = io.BytesIO()
    np.savez_compressed(packed, **members)
    return packed.getvalue()


def _bomb(seeds: Seeds, data: bytes, random: Random) -> bytes:
    """A few hundred kilobytes that unfold to more than a process may take."""
    members = _members(data)
    meta = json.loads(str(np.load(io.BytesIO(members["meta.npy"]))))
    clips = (1 << 28) // max(sum(len(content) for content in members.values()), 1 << 12)
    meta["frames"] = 1 + (clips - 1) * (meta["clip_frames"] - meta["overlap"])
    meta.pop("times", None)
    rows = {name: clips * math.prod(meta["shapes"][name][:-1]) for name in meta.get("levels", ())}
    if rows:  # one token at every position
        meta["rows"] = {name: [rows[name], *[0] * (most - 1)] for name, most in meta["levels"].items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as stream:
                if name == "meta.npy":
                    np.save(stream, np.array(json.dumps(meta)))
                    continue
                array = np.load(io.BytesIO(content))
                array_name = name.removesuffix(".npy")
                length = rows.get(array_name, clips)
                header = {
                    "descr": array.dtype.str,
                    "fortran_order": False,
                    "shape": (length, *array.shape[1:]),
                }
                np.lib.format.write_array_header_1_0(stream, header)
                size = length * array.dtype.itemsize * math.prod(array.shape[1:])
                filling = (b"\1" if array_name in COUNTED else b"\0") * (1 << 20)
                for _ in range(size >> 20):
                    stream.write(filling)
                stream.write(filling[: size & ((1 << 20) - 1)])
    return packed.getvalue()


_WAYS: tuple[Callable[[Seeds, bytes, Random], bytes], ...] = (
    *(_bytes, _archive, _arrays, _description, _extreme, _bomb),
)
