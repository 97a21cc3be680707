"""What a token file says of itself: the facts that decoding needs, and the arrays held against them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

import numpy as np

from sweettok_cli.errors import brief
from sweettok_cli.tokens import selected, values
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.fault import UPDATE, TokenFault
from sweettok_cli.tokens.json_line import read_line, write_line
from sweettok_cli.tokens.limits import HIGHEST_RATE, MAX_ARRAY_BYTES, MAX_LEVELS, MAX_SECONDS, MOST_STRETCHED
from sweettok_cli.tokens.ragged import COUNTED, counts_name, rows_by_level
from sweettok_cli.video.selection import WHOLE, Selection

FORMAT = "sweettok-tokens"
#: Of files whose positions hold one token each, and of those with levels.
VERSIONS = (1, 2)
#: Keys that are left out where they say what is usual.
_OPTIONAL = ["time_base", "times", "sample_aspect_ratio", "levels", "rows", "budget", "selection", "begins"]


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
        shapes: shape of one clip of each array, without the clip axis; with levels that of one token at
            every position, whatever the clip has.
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
        levels: tokens that a position has at most, by array; of the arrays where that varies, if any.
        rows: of each array with ``levels``, how many first tokens all clips together have, how many second
            ones, and so on.
        budget: how many bits it was to take, or how good to be, in words; empty where nothing was asked
            for. Only with ``levels``.
        selection: which frames of the source these are, and how scaled; the rest is said of these alone.
        begins: seconds after the source's first frame at which the first of them is shown.
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
    levels: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    budget: str = ""
    selection: Selection = WHOLE
    begins: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for name, least in (("family", 1), ("model", 1), ("source", 0), ("writer", 0), ("budget", 0)):
            values.text(name, getattr(self, name), least)
        if not re.fullmatch(r"[0-9a-f]{64}", values.text("weights_sha256", self.weights_sha256)):
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
            values.whole(name, getattr(self, name), least, most)
        values.ratio("rate", self.rate, 0, HIGHEST_RATE)
        values.ratio(
            "sample_aspect_ratio", self.sample_aspect_ratio, Fraction(1, MOST_STRETCHED), MOST_STRETCHED
        )
        if not 0 <= self.begins <= MAX_SECONDS:
            raise TokenFault("does not say when its first frame is shown")
        self._check_times()
        begins = self.times[0] * self.time_base if self.times and self.time_base else 0
        if begins + (self.duration or 0) > MAX_SECONDS:
            years = MAX_SECONDS // 31_556_952
            raise TokenFault(f"lasts more than {years} years", "encode the source in parts")
        self._check_arrays()

    def _check_times(self) -> None:
        if self.times is None:
            return
        values.ratio("time_base", self.time_base)
        if len(self.times) != self.frames:
            raise TokenFault(f"has {len(self.times)} time stamps for {self.frames} frames")
        previous = -1
        for tick in self.times:
            values.whole("times", tick, 0, 1 << 62)
            if tick <= previous:
                raise TokenFault("has time stamps that do not increase")
            previous = tick

    def _check_arrays(self) -> None:
        unknown = sorted(set(self.shapes) - set(ARRAYS))
        if unknown:
            raise TokenFault(f"holds an array of an unknown kind {unknown[0][:40]!r}", UPDATE)
        if not self.shapes or not all(self.shapes.keys() >= {*ARRAYS[name].beside} for name in self.shapes):
            raise TokenFault("does not describe all arrays of its tokens")
        if set(self.codebooks) != {name for name in self.shapes if ARRAYS[name].indices}:
            raise TokenFault("does not give the codebooks of its index arrays")
        for name, shape in self.shapes.items():
            if len(shape) != ARRAYS[name].axes:
                raise TokenFault(f"gives {name!r} {len(shape)} axes, not {ARRAYS[name].axes}")
            for length in shape:
                values.whole(f"the shape of {name}", length, 0, 1 << 31)
        for name, sizes in self.codebooks.items():
            columns = self.shapes[name][-1] if ARRAYS[name].columns else 1
            if len(sizes) != columns:
                raise TokenFault(f"gives {len(sizes)} codebook sizes for {columns} index columns of {name!r}")
            for size in sizes:
                values.whole(f"a codebook size of {name}", size, 1, 1 << 32)
            shared = ARRAYS[name].codebooks or name
            if sizes != self.codebooks[shared][-len(sizes) :]:
                raise TokenFault(f"gives {name!r} other codebook sizes than {shared!r}, whose words it uses")
        if self.image and self.shapes.get("temporal", (0,))[0]:
            raise TokenFault("has temporal tokens for a single image")
        self._check_levels()
        if self.array_bytes > MAX_ARRAY_BYTES:
            raise TokenFault(
                f"is larger than {MAX_ARRAY_BYTES >> 30} GiB unpacked", "encode the source in parts"
            )

    def _check_levels(self) -> None:
        ragged = {name for name in self.shapes if ARRAYS[name].least is not None}
        if not self.levels and not self.rows and all(ARRAYS[name].version == 1 for name in self.shapes):
            return
        if not self.levels.keys() == self.rows.keys() == ragged:
            raise TokenFault("does not give the levels and rows of its arrays")
        for name, most in self.levels.items():
            values.whole(f"the levels of {name}", most, 1, MAX_LEVELS)
            if len(self.rows[name]) != most:
                raise TokenFault(f"gives {len(self.rows[name])} numbers of rows of {most} levels of {name!r}")
            before = self.clips * self.positions(name)
            for level, rows in enumerate(self.rows[name], 1):
                least = before if level <= (ARRAYS[name].least or 0) else 0
                before = values.whole(f"the rows of {name}", rows, least, before)

    @property
    def version(self) -> int:
        """Of the file format that is needed."""
        return VERSIONS[bool(self.levels)]

    @property
    def clips(self) -> int:
        """Number of clips, which is the length of every array's first axis but of those that are rows."""
        return clip_count(self.frames, self.clip_frames, self.overlap)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of all arrays, those that count tokens among them."""
        return (*self.shapes, *map(counts_name, self.levels))

    @property
    def array_bytes(self) -> int:
        """Bytes of all arrays together, unpacked."""
        return sum(self.array_size(name) for name in self.arrays)

    def array_size(self, name: str) -> int:
        """Bytes of the array ``name``, unpacked."""
        return math.prod(self.array_shape(name)) * self.dtype(name).itemsize

    def array_shape(self, name: str) -> tuple[int, ...]:
        """Shape of the array ``name``: clips or rows first."""
        if name in COUNTED:
            return (self.clips, *self.shapes[COUNTED[name]][:-1])
        if name in self.levels:
            return (sum(self.rows[name]), self.shapes[name][-1])
        return (self.clips, *self.shapes[name])

    def positions(self, name: str) -> int:
        """Positions of one clip's array ``name``, which is of tokens in columns."""
        return math.prod(self.shapes[name][:-1])

    def columns(self, name: str) -> int:
        """Length of the last axis of the array ``name`` where that is a token's indices; else 1."""
        return self.shapes[name][-1] if name in ARRAYS and ARRAYS[name].columns else 1

    def dtype(self, name: str) -> np.dtype:
        """Number format of the array ``name`` (little-endian)."""
        if name in COUNTED:
            return np.dtype("u1")
        if name not in self.codebooks:
            return np.dtype("<f2")
        return np.dtype("<u2" if max(self.codebooks[name], default=1) <= 1 << 16 else "<u4")

    def check_values(self, name: str, numbers: np.ndarray, columns: slice = slice(None)) -> None:
        """Raise :class:`TokenFault` unless numbers of the array ``name`` are in range.

        ``numbers`` are all of it or some; ``columns`` says which, where its last axis is a token's columns.
        """
        if name in COUNTED:
            self._check_counts(COUNTED[name], numbers)
            return
        if name not in self.codebooks:
            if not np.isfinite(numbers).all():
                raise TokenFault(f"holds values in {name!r} that are not finite numbers")
            return
        split = np.moveaxis(numbers, -1, 0) if ARRAYS[name].columns else numbers[None]
        for size, column in zip(self.codebooks[name][columns], split, strict=True):
            if column.size and int(column.max()) >= size:
                raise TokenFault(
                    f"holds the index {int(column.max())} in {name!r}, past its codebook of {size}"
                )

    def _check_counts(self, name: str, counts: np.ndarray) -> None:
        least, most = ARRAYS[name].least or 0, self.levels[name]
        if counts.size and not least <= int(counts.min()) <= int(counts.max()) <= most:
            wrong = int(counts.min()) if counts.min() < least else int(counts.max())
            raise TokenFault(f"gives a position {wrong} {name} tokens, where {least} to {most} may be")

    def check_rows(self, name: str, rows: tuple[int, ...]) -> None:
        """Raise :class:`TokenFault` unless ``rows``, which the array ``name`` counts by level, are there."""
        kind = COUNTED[name]
        for level, (counted, stated) in enumerate(zip(rows, self.rows[kind], strict=True), 1):
            if counted != stated:
                raise TokenFault(
                    f"counts {counted} {kind} tokens of level {level} in {name!r}, and says it has {stated}"
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
            "version": self.version,
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
            "rate": values.spelt_ratio(self.rate),
            "clip_frames": self.clip_frames,
            "overlap": self.overlap,
            "writer": self.writer,
        }
        if self.times is not None and self.time_base is not None:
            record["time_base"] = values.spelt_ratio(self.time_base)
            record["times"] = list(self.times)
        if self.sample_aspect_ratio != 1:
            record["sample_aspect_ratio"] = values.spelt_ratio(self.sample_aspect_ratio)
        if self.selection:
            record["selection"] = selected.write_selection(self.selection)
            record["begins"] = values.spelt_ratio(self.begins)
        if self.levels:
            record["levels"] = dict(self.levels)
            record["rows"] = {name: list(rows) for name, rows in self.rows.items()}
        if self.budget:
            record["budget"] = self.budget
        return write_line(record)

    @classmethod
    def from_json(cls, text: str) -> TokenMeta:
        """The object that :meth:`to_json` wrote; anything else raises :class:`TokenFault`."""
        record = read_line(text)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            why = f"does not say that its format is {FORMAT!r}"
            raise TokenFault(why, "give a file that `sweettok encode` wrote")
        version = record.get("version")
        if version not in VERSIONS or isinstance(version, bool):
            known = " and ".join(map(str, VERSIONS))
            raise TokenFault(f"has format version {brief(version)}, this program reads {known}", UPDATE)
        if record.get("fit") != "repeat-edge":
            raise TokenFault(f"fitted its frames in an unknown way {record.get('fit')!r}", UPDATE)
        names = [each.name for each in fields(cls) if each.name not in _OPTIONAL]
        names += ["levels", "rows"] * (version == 2)
        if missing := [name for name in names if name not in record]:
            raise TokenFault(f"does not say its {', '.join(missing)}")
        found = {name: record[name] for name in names}
        found["codebooks"] = values.table("codebooks", record["codebooks"])
        found["shapes"] = values.table("shapes", record["shapes"])
        found["rate"] = values.parse_ratio("rate", record["rate"])
        if "times" in record:
            if not isinstance(record["times"], list):
                raise TokenFault("has time stamps that are no list")
            found["times"] = tuple(record["times"])
            found["time_base"] = values.parse_ratio("time_base", record.get("time_base"))
        if "sample_aspect_ratio" in record:
            given = record["sample_aspect_ratio"]
            found["sample_aspect_ratio"] = values.parse_ratio("sample_aspect_ratio", given)
        if "selection" in record:
            found["selection"] = selected.read_selection(record["selection"])
            found["begins"] = values.parse_ratio("begins", record.get("begins", "0/1"))
        if version == 2:
            if not isinstance(record["levels"], dict) or not record["levels"]:
                raise TokenFault("has no usable levels")
            found["rows"] = values.table("rows", record["rows"], MAX_LEVELS)
            found["budget"] = record.get("budget", "")
        return cls(**found)


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
        if set(self.arrays) != set(self.meta.arrays):
            raise TokenFault(f"holds the arrays {sorted(self.arrays)}, not {sorted(self.meta.arrays)}")
        for name, array in self.arrays.items():
            if array.dtype != self.meta.dtype(name) or array.shape != self.meta.array_shape(name):
                raise TokenFault(
                    f"holds {name!r} as {array.dtype} {list(array.shape)}, "
                    f"not {self.meta.dtype(name)} {list(self.meta.array_shape(name))}"
                )
            self.meta.check_values(name, array)
            if name in COUNTED:
                self.meta.check_rows(name, rows_by_level(array, self.meta.levels[COUNTED[name]]))
