"""What a token file says: index arrays and the facts that decoding needs.

================  ==========================================  =================================
family            arrays (leading axis: clips)                dtype
================  ==========================================  =================================
sweettok          ``spatial`` [clips, S, 3],                  uint16
                  ``temporal`` [clips, T, 3]
omnitokenizer     ``indices`` [clips, t, h, w]                uint16
omnitokenizer-vae ``latents`` [clips, c, t, h, w]             float16
vidtok-fsq        ``indices`` [clips, t, h, w]                uint16, uint32 past 65,536 codes
vidtok-vq         ``indices`` [clips, t, h, w]                the same
vidtok-kl         ``latents`` [clips, c, t, h, w]             float16
================  ==========================================  =================================

Columns of ``spatial`` and ``temporal`` are modifier, modifier, head: two adjectives and a noun, two adverbs
and a verb. S and T are 256 and 1024 at 256x256 and grow with the area; T is 0 for a single image.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np

from sweettok_cli.errors import brief

FORMAT = "sweettok-tokens"
VERSION = 1
#: Bytes of all index arrays together, once unpacked: more than a day of 256x256 video.
MAX_ARRAY_BYTES = 4 << 30
#: Frames a second at most.
HIGHEST_RATE = 1_000_000
#: A pixel at most, wider than high or higher than wide.
MOST_STRETCHED = 100
#: Characters of the JSON string: some fifteen hours of frame times, where the rate varies.
MAX_META_CHARS = 16 << 20
#: Seconds from the first frame to the end of the last: 17 years, the longest pause that MP4 can hold.
MAX_SECONDS = 1 << 29


@dataclass(frozen=True)
class ArrayKind:
    """What an array holds, told by its name."""

    axes: int  # of one clip
    indices: bool = True  # of codebooks; else continuous latents
    columns: bool = False  # the last axis is a token, an index into each of its codebooks; else each index is


#: The arrays that a token file may hold. A family whose tokens are laid out in these needs nothing here.
ARRAYS: dict[str, ArrayKind] = {
    "spatial": ArrayKind(2, columns=True),
    "temporal": ArrayKind(2, columns=True),
    "indices": ArrayKind(3),
    "latents": ArrayKind(4, indices=False),
}

#: Keys that are left out where they say what is usual.
_OPTIONAL = ("time_base", "times", "sample_aspect_ratio")

ENCODE_AGAIN = "encode the source again"
UPDATE = "update sweettok"


class TokenFault(ValueError):
    """What is wrong with tokens, and what to do; whoever knows the file adds its name."""

    def __init__(self, problem: str, remedy: str = ENCODE_AGAIN) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def clip_count(frames: int, clip_frames: int, overlap: int) -> int:
    """Clips that cover ``frames`` frames when each repeats ``overlap`` frames of the one before."""
    further = max(0, frames - clip_frames)
    return 1 + -(-further // (clip_frames - overlap))


@dataclass(frozen=True)
class TokenMeta:
    """Everything about the tokens but the tokens. Checked when made; a bad value raises :class:`TokenFault`.

    Attributes:
        family: of the model that encoded. Which families there are is known where models are opened.
        model: name of the model that encoded, and alone can decode.
        weights_sha256: of that model's weights, lower-case hex.
        codebooks: codebook size behind each index column of each array; empty for continuous latents.
        shapes: shape of one clip of each array, without the clip axis.
        source: file name of the source, without its folder.
        image: a single picture, not a video of one frame.
        width: of the source's frames, in pixels.
        height: of the source's frames, in pixels.
        padded_width: of the frames the model saw; the source sits at the top left and its edge is repeated.
        padded_height: see ``padded_width``.
        frames: of the source.
        rate: frames a second, exact; the mean where it varies.
        time_base: seconds a tick of ``times``.
        times: one tick count a frame where the rate varies, strictly increasing; None where it does not.
        clip_frames: frames in a clip; the last clip repeats its last frame to be full. A video that was
            encoded as one stream is one clip.
        overlap: frames that neighbouring clips share.
        writer: program and version that wrote the file.
        sample_aspect_ratio: width of a pixel of the source over its height.
    """

    family: str
    model: str
    weights_sha256: str
    codebooks: Mapping[str, tuple[int, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    source: str
    image: bool
    width: int
    height: int
    padded_width: int
    padded_height: int
    frames: int
    rate: Fraction
    clip_frames: int
    overlap: int = 0
    time_base: Fraction | None = None
    times: tuple[int, ...] | None = None
    writer: str = ""
    sample_aspect_ratio: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _text("family", self.family, least=1)
        _text("model", self.model, least=1)
        _text("source", self.source)
        _text("writer", self.writer)
        if not re.fullmatch(r"[0-9a-f]{64}", _text("weights_sha256", self.weights_sha256)):
            raise TokenFault("names no SHA-256 of its weights")
        if not isinstance(self.image, bool):
            raise TokenFault("does not say whether it is an image")
        for name, least, most in (
            ("width", 1, 1 << 16),
            ("height", 1, 1 << 16),
            ("padded_width", self.width, 1 << 17),
            ("padded_height", self.height, 1 << 17),
            ("frames", 1, 1 if self.image else 1 << 40),
            ("clip_frames", 1, 1 << 40),
            ("overlap", 0, self.clip_frames - 1),
        ):
            _whole(name, getattr(self, name), least, most)
        _ratio("rate", self.rate, 0, HIGHEST_RATE)
        _ratio("sample_aspect_ratio", self.sample_aspect_ratio, Fraction(1, MOST_STRETCHED), MOST_STRETCHED)
        self._check_times()
        begins = self.times[0] * self.time_base if self.times and self.time_base else 0
        if begins + (self.duration or 0) > MAX_SECONDS:
            years = MAX_SECONDS // 31_556_952
            raise TokenFault(f"lasts more than {years} years", "encode the source in parts")
        self._check_arrays()

    def _check_times(self) -> None:
        if self.times is None:
            return
        _ratio("time_base", self.time_base)
        if len(self.times) != self.frames:
            raise TokenFault(f"has {len(self.times)} time stamps for {self.frames} frames")
        previous = -1
        for tick in self.times:
            _whole("times", tick, 0, 1 << 62)
            if tick <= previous:
                raise TokenFault("has time stamps that do not increase")
            previous = tick

    def _check_arrays(self) -> None:
        unknown = sorted(set(self.shapes) - set(ARRAYS))
        if unknown:
            raise TokenFault(f"holds an array of an unknown kind {unknown[0][:40]!r}", UPDATE)
        if not self.shapes or ("spatial" in self.shapes) != ("temporal" in self.shapes):
            raise TokenFault("does not describe all arrays of its tokens")
        if set(self.codebooks) != {name for name in self.shapes if ARRAYS[name].indices}:
            raise TokenFault("does not give the codebooks of its index arrays")
        for name, shape in self.shapes.items():
            if len(shape) != ARRAYS[name].axes:
                raise TokenFault(f"gives {name!r} {len(shape)} axes, not {ARRAYS[name].axes}")
            for length in shape:
                _whole(f"the shape of {name}", length, 0, 1 << 31)
        for name, sizes in self.codebooks.items():
            columns = self.shapes[name][-1] if ARRAYS[name].columns else 1
            if len(sizes) != columns:
                raise TokenFault(f"gives {len(sizes)} codebook sizes for {columns} index columns of {name!r}")
            for size in sizes:
                _whole(f"a codebook size of {name}", size, 1, 1 << 32)
        if self.image and self.shapes.get("temporal", (0,))[0]:
            raise TokenFault("has temporal tokens for a single image")
        if self.array_bytes > MAX_ARRAY_BYTES:
            raise TokenFault(
                f"is larger than {MAX_ARRAY_BYTES >> 30} GiB unpacked", "encode the source in parts"
            )

    @property
    def clips(self) -> int:
        """Number of clips, which is the length of every array's first axis."""
        return clip_count(self.frames, self.clip_frames, self.overlap)

    @property
    def array_bytes(self) -> int:
        """Bytes of all arrays together, unpacked."""
        return sum(self.array_size(name) for name in self.shapes)

    def array_size(self, name: str) -> int:
        """Bytes of the array ``name``, unpacked."""
        return math.prod(self.array_shape(name)) * self.dtype(name).itemsize

    def array_shape(self, name: str) -> tuple[int, ...]:
        """Shape of the array ``name``, clip axis first."""
        return (self.clips, *self.shapes[name])

    def dtype(self, name: str) -> np.dtype:
        """Number format of the array ``name`` (little-endian)."""
        if name not in self.codebooks:
            return np.dtype("<f2")
        return np.dtype("<u2" if max(self.codebooks[name], default=1) <= 1 << 16 else "<u4")

    def check_values(self, name: str, values: np.ndarray, columns: slice = slice(None)) -> None:
        """Raise :class:`TokenFault` unless numbers of the array ``name`` are in range.

        ``values`` are all of it or some; ``columns`` says which, where its last axis is a token's columns.
        """
        if name not in self.codebooks:
            if not np.isfinite(values).all():
                raise TokenFault(f"holds values in {name!r} that are not finite numbers")
            return
        split = np.moveaxis(values, -1, 0) if ARRAYS[name].columns else values[None]
        for size, column in zip(self.codebooks[name][columns], split, strict=True):
            if column.size and int(column.max()) >= size:
                raise TokenFault(
                    f"holds the index {int(column.max())} in {name!r}, past its codebook of {size}"
                )

    @property
    def duration(self) -> Fraction | None:
        """Seconds the source lasts, or None for an image."""
        if self.image:
            return None
        if self.times is not None and self.time_base is not None:
            return (self.times[-1] - self.times[0]) * self.time_base + 1 / self.rate
        return self.frames / self.rate

    def frame_times(self) -> list[Fraction] | None:
        """Seconds at which each frame shows, where the rate varies; else None."""
        if self.times is None or self.time_base is None:
            return None
        return [tick * self.time_base for tick in self.times]

    def to_json(self) -> str:
        """One JSON object in one line; :meth:`from_json` gives back an equal object."""
        record: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "family": self.family,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "codebooks": {name: list(sizes) for name, sizes in self.codebooks.items()},
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "source": self.source,
            "image": self.image,
            "width": self.width,
            "height": self.height,
            "fit": "repeat-edge",
            "padded_width": self.padded_width,
            "padded_height": self.padded_height,
            "frames": self.frames,
            "rate": _fraction(self.rate),
            "clip_frames": self.clip_frames,
            "overlap": self.overlap,
            "writer": self.writer,
        }
        if self.times is not None and self.time_base is not None:
            record["time_base"] = _fraction(self.time_base)
            record["times"] = list(self.times)
        if self.sample_aspect_ratio != 1:
            record["sample_aspect_ratio"] = _fraction(self.sample_aspect_ratio)
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        # A source's name need not be text; what is none is spelt in ASCII, and comes back.
        return text if _is_text(text) else json.dumps(record, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TokenMeta:
        """The object that :meth:`to_json` wrote; anything else raises :class:`TokenFault`."""
        try:
            record = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise TokenFault("has a description that is not JSON") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise TokenFault(
                f"does not say that its format is {FORMAT!r}", "give a file that `sweettok encode` wrote"
            )
        if record.get("version") != VERSION or isinstance(record["version"], bool):
            raise TokenFault(
                f"has format version {brief(record.get('version'))}, this program reads {VERSION}", UPDATE
            )
        if record.get("fit") != "repeat-edge":
            raise TokenFault(f"fitted its frames in an unknown way {record.get('fit')!r}", UPDATE)
        names = [field.name for field in fields(cls) if field.name not in _OPTIONAL]
        if missing := [name for name in names if name not in record]:
            raise TokenFault(f"does not say its {', '.join(missing)}")
        values = {name: record[name] for name in names}
        values["codebooks"] = _table("codebooks", record["codebooks"])
        values["shapes"] = _table("shapes", record["shapes"])
        values["rate"] = _parse_ratio("rate", record["rate"])
        if "times" in record:
            if not isinstance(record["times"], list):
                raise TokenFault("has time stamps that are no list")
            values["times"] = tuple(record["times"])
            values["time_base"] = _parse_ratio("time_base", record.get("time_base"))
        if "sample_aspect_ratio" in record:
            values["sample_aspect_ratio"] = _parse_ratio("sample_aspect_ratio", record["sample_aspect_ratio"])
        return cls(**values)


@dataclass(frozen=True)
class Tokens:
    """Index arrays and their description; :meth:`check` holds one against the other."""

    arrays: dict[str, np.ndarray]
    meta: TokenMeta

    def __repr__(self) -> str:
        """What they are tokens of, and what the arrays are; not what is in them."""
        meta = self.meta
        rate = "" if meta.image else f" at {float(meta.rate):g} fps"
        what = "an image" if meta.image else f"{meta.frames} frames"
        arrays = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in self.arrays.items())
        return f"Tokens({meta.model!r}: {what} of {meta.width}x{meta.height}{rate}; {arrays})"

    def check(self) -> None:
        """Raise :class:`TokenFault` unless names, dtypes, shapes and value ranges are as ``meta`` says."""
        if set(self.arrays) != set(self.meta.shapes):
            raise TokenFault(f"holds the arrays {sorted(self.arrays)}, not {sorted(self.meta.shapes)}")
        for name, array in self.arrays.items():
            if array.dtype != self.meta.dtype(name) or array.shape != self.meta.array_shape(name):
                raise TokenFault(
                    f"holds {name!r} as {array.dtype} {list(array.shape)}, "
                    f"not {self.meta.dtype(name)} {list(self.meta.array_shape(name))}"
                )
            self.meta.check_values(name, array)


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _text(name: str, value: object, least: int = 0) -> str:
    if not isinstance(value, str) or not least <= len(value) <= 4096:
        raise TokenFault(f"has no usable {name}")
    return value


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise TokenFault(f"has an impossible value for {name}: {repr(value)[:40]}")
    return value


def _ratio(name: str, value: object, least: Fraction | int = 0, most: int = 1 << 31) -> Fraction:
    digits = isinstance(value, Fraction) and max(value.numerator, value.denominator) < 1 << 31
    if not isinstance(value, Fraction) or not digits or not value > 0 or not least <= value <= most:
        raise TokenFault(f"has an impossible value for {name}: {str(value)[:40]}")
    return value


def _parse_ratio(name: str, value: object) -> Fraction:
    match = re.fullmatch(r"([0-9]{1,19})/([0-9]{1,19})", value, re.ASCII) if isinstance(value, str) else None
    if match is None or int(match[2]) == 0:
        raise TokenFault(f"has an impossible value for {name}: {str(value)[:40]!r}")
    return Fraction(int(match[1]), int(match[2]))


def _table(name: str, value: object) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, dict) or not all(
        isinstance(row, list) and len(row) <= 8 for row in value.values()
    ):
        raise TokenFault(f"has no usable {name}")
    return {key: tuple(row) for key, row in value.items()}
