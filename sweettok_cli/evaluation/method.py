"""What is measured: an item's frames as a protocol wants them, and the methods that give them back."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import open_source
from sweettok_cli.evaluation.protocol import Protocol as Rules
from sweettok_cli.evaluation.record import ClipCost, Kind
from sweettok_cli.evaluation.results import Cost
from sweettok_cli.metrics.codebook_use import CodeCounts
from sweettok_cli.metrics.comparison import worst_clip
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.missed import bits_limit, quality_limit
from sweettok_cli.pipeline.reconstruct import Seconds, reconstruct_frames
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.tokens.layout import CostCounter
from sweettok_cli.tokens.ragged import COUNTED, TokenMap, token_map
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.info import VideoInfo

Pairs = Generator[tuple[np.ndarray, np.ndarray, bool], None, None]
"""Source and reconstruction, uint8 [h, w, 3], and whether a clip of the model begins with this frame."""


class Clip:
    """The frames of one item that are measured. They can be gone through any number of times.

    Raises:
        SweettokError: the item cannot be read.
    """

    def __init__(self, item: Item, protocol: Rules) -> None:
        self.item = item
        self._source = open_source(item)
        found = self._source.info
        self._protocol = protocol
        self._stride = 1 if found.is_image else protocol.stride(float(found.rate))
        self._fit = protocol.picture_fit if found.is_image else protocol.fit

    @cached_property
    def info(self) -> VideoInfo:
        """Size, rate and, where it is known beforehand, number of the frames."""
        found = self._source.info
        width, height = self._fit.size(found.width, found.height)
        frames = found.frames
        if self._protocol.frames is not None and not found.is_image:
            frames = min(self._protocol.frames, self._chosen_from)
        elif frames is not None:
            frames = -(-frames // self._stride)
        return dataclasses.replace(
            found, width=width, height=height, rate=found.rate / self._stride, frames=frames, duration=None
        )

    @cached_property
    def _chosen_from(self) -> int:
        """Frames that a run of some of them is chosen from."""
        return -(-self._source.count() // self._stride)

    @property
    def start(self) -> int:
        """Number, in the item itself, of the first frame."""
        if self._protocol.frames is None or self._source.info.is_image:
            return 0
        return self._protocol.start(self.item.name, self._chosen_from) * self._stride

    def frames(self) -> Iterator[np.ndarray]:
        """The frames, uint8 RGB [h, w, 3].

        Raises:
            SweettokError: the item is damaged.
        """
        wanted = None if self._source.info.is_image else self._protocol.frames
        span = None if wanted is None else (min(wanted, self._chosen_from) - 1) * self._stride + 1
        frames = self._source.frames(self.start, span)
        for frame in itertools.islice(frames, 0, None, self._stride):
            yield self._fit(frame)


class Method(Protocol):
    """Anything that can be measured: a model or a codec. Its name is unique in a run."""

    name: str
    kind: ClassVar[Kind]

    def describe(self) -> dict[str, Any]:
        """Everything that its results depend on, plain values only."""
        ...

    def reconstruct(self, clip: Clip, cost: Cost, bits_per_frame: float | None = None) -> Pairs:
        """The frames of a clip beside what becomes of them.

        ``cost`` is filled in by the time the last frame has come. ``bits_per_frame`` is what a codec may
        spend; models spend what they spend.

        Raises:
            SweettokError: the clip cannot be read, or does not suit the method.
        """
        ...


@dataclass(eq=False)
class ModelMethod:
    """A loaded tokenizer: whole videos through the streaming pipeline, memory flat in their length.

    Several methods may have one tokenizer, each with another budget.
    """

    tokenizer: Tokenizer
    name: str = ""  # of the model, by default its own; a budget is added, so that it is unique in the run
    _: KW_ONLY
    batch_clips: int | None = None  # that go through the model at once; the tokenizer's own choice by default
    overlap: int = 0  # frames that each clip repeats of the one before
    truncate: bool = False  # cut the network's values off to 8 bits in place of rounding them
    sample: int | None = None  # the seed that the tokenizer draws latents with
    budget: Budget = USUAL  # of a tokenizer with levels
    kind: ClassVar[Kind] = "model"

    def __post_init__(self) -> None:
        self.spec = self.tokenizer.spec
        self.name = " ".join(filter(None, (self.name or self.spec.name, str(self.budget))))

    def words(self) -> dict[str, list[str]]:
        """The word behind each code, by list; empty for models without words."""
        known = getattr(self.tokenizer, "words", dict)
        return {
            part: words
            for half, lists in known().items()
            for part, words in zip(PARTS_OF_SPEECH[half], lists, strict=True)
        }

    def describe(self) -> dict[str, Any]:
        """As :meth:`Method.describe`."""
        known = (key for key in ("device", "dtype") if hasattr(self.tokenizer, key))
        return {
            "model": self.spec.name,
            "family": self.spec.family,
            "weights_sha256": self.spec.weights_sha256,
            "clip_frames": self.spec.clip_frames,
            "overlap": self.overlap,
            "batch_clips": self.batch_clips or self.tokenizer.batch_clips,
            "rounding": "down" if self.truncate else "nearest",
            **{key: str(getattr(self.tokenizer, key)).removeprefix("torch.") for key in known},
            "sample": self.sample,
            "budget": str(self.budget) or None,
        }

    def reconstruct(self, clip: Clip, cost: Cost, bits_per_frame: float | None = None) -> Pairs:
        """As :meth:`Method.reconstruct`."""
        counter = CostCounter(self.spec)
        fit = Fit.to_multiple(clip.info.width, clip.info.height, self.spec.multiple)
        codes = cost.codes = CodeCounts(self.spec.codebooks)
        maps: list[TokenMap] = []  # of each clip: one a latent frame

        def count(arrays: dict[str, np.ndarray]) -> None:
            counter.add(arrays)
            codes.add(arrays)
            if cost.maps is not None and any(name in arrays for name in COUNTED):
                side, clips = token_map(arrays, fit.padded_height, fit.padded_width)
                maps.extend(TokenMap(side, clip) for clip in clips)

        seconds = Seconds()
        self.tokenizer.truncate = self.truncate
        self.tokenizer.redraw()
        pairs = reconstruct_frames(
            clip.frames(),
            clip.info,
            self.tokenizer,
            batch_clips=self.batch_clips,
            overlap=self.overlap,
            on_arrays=count,
            seconds=seconds,
            budget=self.budget,
        )
        frames: list[float] = []  # decibels of each, where a quality is aimed at
        borders: list[int] = []
        with closing(pairs):
            for number, (source, decoded) in enumerate(pairs):
                if cost.maps is not None and maps:
                    which, cell = self.spec.cell_of(number, self.overlap)
                    cost.maps.append(TokenMap(maps[which].side, maps[which].tokens[cell]))
                begins = self.spec.begins_clip(number, self.overlap)
                if self.budget.psnr is not None:
                    frames.append(psnr(source, decoded))
                    borders += [number] * (begins and number > 0)
                yield source, decoded, begins
        cost.bits, cost.clips = counter.bits, counter.clips
        cost.tokens, cost.indices = counter.tokens, counter.indices
        cost.encode, cost.decode = seconds.encode, seconds.decode
        limit = None
        if self.budget.psnr is not None and frames:
            limit = quality_limit(worst_clip(frames, borders), self.budget.psnr)
        elif self.budget.tokens is not None:
            limit = bits_limit(cost.bits, cost.clips * self._allowed(fit, clip.info.is_image))
        cost.limits = () if limit is None else (limit,)

    def _allowed(self, fit: Fit, image: bool) -> float:
        """Bits that the budget has for a clip, or an image, of such frames."""
        spec, size = self.spec.fixed, (fit.padded_height, fit.padded_width)
        tokens = sum(spec.tokens_per_clip(*size, image).values())
        return self.budget.bits(spec.bits_per_clip(*size, image), tokens, math.prod(size))

    def clip_cost(self, image: bool = False, side: int = 256) -> ClipCost | None:
        """What a full clip, or one ``image``, of ``side`` x ``side`` pixels costs, as papers compare it.

        None where clips differ: of models with levels, but at the fixed budget.
        """
        spec = self.spec.fixed if self.budget.fixed else self.spec
        if spec.levels:
            return None
        side = math.ceil(side / spec.multiple) * spec.multiple
        return ClipCost(
            frames=1 if image else spec.clip_frames,
            width=side,
            height=side,
            tokens=spec.tokens_per_clip(side, side, image),
            indices=spec.indices_per_clip(side, side, image),
            kbit=spec.bits_per_clip(side, side, image) / 1000,
        )
