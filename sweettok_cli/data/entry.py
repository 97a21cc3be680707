"""One clip of a training set: where its bytes lie, which part of it counts, and what is known of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import open_regular
from sweettok_cli.video.info import DEFAULT_RATE
from sweettok_cli.video.source import PICTURES, open_container, source_name, video_stream


@dataclass(frozen=True)
class Facts:
    """How long a clip is, as its header or an index of its shard declares it."""

    frames: int  # at least 1
    rate: float  # frames a second; 0 where it is not known


@dataclass(frozen=True)
class Codes:
    """Codes that lie beside a clip that is one whole sample."""

    offset: int  # of their file in the clip's shard
    size: int
    teacher: str  # SHA-256 of the weights that gave them
    side: int  # of the sample in pixels


@dataclass(frozen=True)
class Entry:
    """One clip or picture: a file, or ``size`` bytes at ``offset`` of a tar shard; or a part of it."""

    name: str
    path: Path
    offset: int = -1
    size: int = 0
    start: float = 0.0  # seconds after its first frame at which the part begins that counts
    end: float = math.inf  # and at which it ends
    facts: Facts | None = None  # where they are known without opening it
    codes: Codes | None = None  # where they are packed beside it
    lacking: str = ""  # where it is not there, as was found out by looking for it: why, and the remedy

    @property
    def is_image(self) -> bool:
        """Whether the name says that this is a still picture."""
        return Path(self.name).suffix.lower() in PICTURES

    @property
    def is_part(self) -> bool:
        """Whether only a part of it counts."""
        return self.start > 0 or self.end < math.inf

    def source(self) -> Path | BytesIO:
        """What the video reader opens: the path, or the member's bytes.

        Raises:
            SweettokError: it is not there, or the shard cannot be read or has become shorter.
        """
        if self.lacking:
            raise SweettokError(f"{self._subject}: {self.lacking}.")
        return self.path if self.offset < 0 else BytesIO(self._bytes(self.offset, self.size))

    def read_codes(self) -> np.ndarray:
        """The codes that are packed beside it, whole numbers [t, h, w].

        Raises:
            SweettokError: they cannot be read.
        """
        assert self.codes is not None
        data = self._bytes(self.codes.offset, self.codes.size)
        stream = BytesIO(data)
        try:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError(f"version {version}")
            shape, turned, kind = np.lib.format.read_array_header_1_0(stream)
            stated = math.prod(shape) * kind.itemsize
            if len(shape) != 3 or kind.kind not in "iu" or turned or stated != len(data) - stream.tell():
                raise ValueError(f"{kind} {list(shape)}")
        except (ValueError, EOFError) as error:
            raise SweettokError(
                f"{self.path} has damaged codes of {self.name} ({error}); pack it again."
            ) from error
        return np.frombuffer(data, kind, offset=stream.tell()).reshape(shape)

    def _bytes(self, offset: int, size: int) -> bytes:
        try:
            with open_regular(self.path) as shard:
                shard.seek(offset)
                data = shard.read(size)
        except OSError as error:
            raise SweettokError(f"Cannot read {self.path} ({error.strerror}); check the shard.") from error
        if len(data) < size:
            raise SweettokError(f"{self.path} ends inside {self.name}; copy the shard again.")
        return data

    def declared(self) -> Facts:
        """What is known of it, or what its header declares; a picture has one frame.

        Raises:
            SweettokError: it cannot be opened as a video.
        """
        if self.facts is not None:
            return self.facts
        return Facts(1, 1.0) if self.is_image else self.header()

    def header(self) -> Facts:
        """What its header declares as a video's; a duration stands in for a number of frames.

        Raises:
            SweettokError: it cannot be opened as a video.
        """
        with open_container(self.source()) as container:
            stream = video_stream(container, self.name)
            rate = float(stream.average_rate or 0)
            return Facts(stream.frames or max(1, int((container.duration or 0) / 1e6 * rate)), rate)

    def part(self, facts: Facts) -> tuple[int, int]:
        """Number of the first frame that counts, and how many do: at least one.

        Where frames are not evenly spaced, seconds are taken by the mean rate.

        Raises:
            SweettokError: the part begins behind the end.
        """
        if not self.is_part:
            return 0, facts.frames
        rate = facts.rate or float(DEFAULT_RATE)
        if self.start * rate > facts.frames - 1e-6:
            raise SweettokError(
                f"{self._subject}: it ends at {facts.frames / rate:g} s, before the part that begins at "
                f"{self.start:g} s; correct the list."
            )
        first = min(math.ceil(self.start * rate - 1e-6), facts.frames - 1)
        last = facts.frames if self.end == math.inf else min(facts.frames, math.ceil(self.end * rate - 1e-6))
        return first, max(1, last - first)

    @property
    def _subject(self) -> str:
        """How errors of what reads it call it."""
        if self.lacking:
            return self.name
        return str(self.path) if self.offset < 0 else source_name(BytesIO())

    def why(self, error: Exception) -> str:
        """What is wrong with it, in a few words to stand beside its name, which they leave out."""
        words = " ".join((str(error) or type(error).__name__).rstrip(".").split())
        return words.removeprefix(self._subject).lstrip(": ")
