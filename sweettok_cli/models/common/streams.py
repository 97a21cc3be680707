"""Streams: frames of one video are pushed in and tokens come out; tokens are pushed in and frames come out.

All state of a video is in its streams, none in the model: any number may be open at once. (Models that draw
latents draw them from one generator, in the order of all that is pushed.) Whether a model works clip by clip
or carries its state along is known here and in the families, nowhere else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.tokens.layout import GridTokens
from sweettok_cli.tokens.ragged import split_clips
from sweettok_cli.video.clips import ClipJoiner
from sweettok_cli.video.fit import Fit

CPU = torch.device("cpu")
#: Told how many frames are done, with parts of them.
OnFrames = Callable[[float], None]


@dataclass(frozen=True)
class WaitingClips:
    """Clips of one shape on their way to a model: frames as they were pushed, padded when asked for.

    A frame that several clips share, or that is repeated, is held once.
    """

    clips: list[list[np.ndarray]]
    fits: list[Fit]  # of each clip; padded they are of one size
    on_part: OnFrames = lambda part: None  # told which part of them was asked for before

    @classmethod
    def joined(cls, several: Sequence[WaitingClips]) -> WaitingClips:
        """Those of several videos as one; their shapes are alike but for the number of clips."""

        def tell(part: float) -> None:
            for each in several:
                each.on_part(part)

        clips = [clip for each in several for clip in each.clips]
        return cls(clips, [fit for each in several for fit in each.fits], tell)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Clips, frames, and padded height and width in pixels."""
        fit = self.fits[0]
        return len(self.clips), len(self.clips[0]), fit.padded_height, fit.padded_width

    def rows(self, start: int, end: int, device: torch.device = CPU) -> Tensor:
        """These rows of all frames on a device, uint8 RGB ``[b, t, end - start, padded_w, 3]``.

        They are asked for from top to bottom. To a GPU they are on their way when this returns.
        """
        clips, frames, height, width = self.shape
        if start:
            self.on_part(start / height)
        shape = clips, frames, end - start, width, 3
        out = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
        for clip, fit, padded in zip(self.clips, self.fits, out.numpy(), strict=True):
            for frame, rows in zip(clip, padded, strict=True):
                fit.pad_rows(frame, start, rows)
        return out.to(device, non_blocking=True)

    def whole(self, device: torch.device = CPU) -> Tensor:
        """All rows."""
        return self.rows(0, self.shape[2], device)


#: Takes clips; gives their tokens on the model's device by name.
Encode = Callable[[WaitingClips], dict[str, Tensor]]
#: Takes tokens as :data:`Encode` gives them, or None at the end of a stream; gives frames, uint8 RGB, as
#: bands of rows ``[b, t, rows, padded_w, 3]`` from top to bottom.
Decode = Callable[[Any], Iterable[Tensor]]

_FINISHED = "the stream is finished; open another one for another video"


class EncoderStream(ABC):
    """Frames of one video in, its tokens out."""

    def __init__(self, fit: Fit) -> None:
        self.frames = 0  # of the source whose tokens have been given back so far
        self._fit, self._finished = fit, False
        self._held: list[np.ndarray] = []
        self._fresh = 0  # of the held frames, those that no clip before holds
        self.on_frames: OnFrames | None = None  # told of frames of the source whose tokens are there

    @property
    def worst(self) -> float | None:
        """Decibels of the clip so far that comes back worst, where encoding decodes; else None."""
        return None

    def push(self, frames: np.ndarray) -> dict[str, Tensor]:
        """The tokens that are complete with these frames.

        Args:
            frames: uint8 RGB ``[t, h, w, 3]`` at the source's size, any number; they are copied.

        Returns:
            Tensors on the model's device by name, as :meth:`Tokenizer.encode_batch` gives them, joined along
            :meth:`axis`; empty where nothing is complete yet.

        Raises:
            ValueError: another type, shape or size, or the stream is finished; it goes on as if not called.
        """
        frames = np.asarray(frames)
        height, width, given = self._fit.height, self._fit.width, f"{frames.dtype} {list(frames.shape)}"
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (height, width, 3):
            raise ValueError(f"frames of this video are uint8 [t, {height}, {width}, 3], not {given}")
        if self._finished:
            raise ValueError(_FINISHED)
        found = []
        for frame in frames:
            self._held.append(frame.copy())
            self._fresh += 1
            if tokens := self._complete():
                found.append(tokens)
        if len(found) < 2:
            return found[0] if found else {}
        return {name: torch.cat([each[name] for each in found], self.axis(name)) for name in found[0]}

    def finish(self) -> dict[str, Tensor]:
        """The tokens of what is left, its last frame repeated to fill it; nothing more may be pushed."""
        if self._finished:
            return {}
        self._finished = True
        return self._rest()

    @abstractmethod
    def _complete(self) -> dict[str, Tensor]:
        """The tokens that are complete with the last frame."""

    @abstractmethod
    def _rest(self) -> dict[str, Tensor]:
        """The tokens of the frames that are held."""

    def axis(self, name: str) -> int:
        """Along which axis of the array ``name`` what comes later follows."""
        return 0

    def _taken(self, length: int) -> list[np.ndarray]:
        """The held frames as one clip of ``length``."""
        self._held += [self._held[-1]] * (length - len(self._held))
        return self._held[:length]

    def _encoded(self, model: Encode, clips: list[list[np.ndarray]], frames: int) -> dict[str, Tensor]:
        """The tokens of ``clips``, which add so many ``frames``."""
        tell = self.on_frames or (lambda done: None)
        fits = [self._fit] * len(clips)
        tokens = model(WaitingClips(clips, fits, lambda part: tell(self.frames + part * frames)))
        self.frames += frames
        tell(self.frames)
        return tokens


class ClipEncoder(EncoderStream):
    """Clips of ``length`` frames, each encoded by itself, ``batch`` of them at once.

    Each repeats ``overlap`` frames of the one before; ``fit`` says how frames are padded; ``worst`` is what
    :attr:`EncoderStream.worst` asks.
    """

    def __init__(
        self,
        encode: Encode,
        fit: Fit,
        length: int,
        overlap: int,
        batch: int,
        worst: Callable[[], float | None] | None = None,
    ) -> None:
        super().__init__(fit)
        self._worst = worst
        if not 0 <= overlap < length:
            raise ValueError(f"clips of {length} frames cannot overlap by {overlap}")
        self._model, self._length, self._overlap, self._batch = encode, length, overlap, batch
        self._clips: list[list[np.ndarray]] = []
        self._valid = 0  # source frames that the waiting clips add

    @property
    def worst(self) -> float | None:
        """As :attr:`EncoderStream.worst`."""
        return None if self._worst is None else self._worst()

    def _complete(self) -> dict[str, Tensor]:
        if len(self._held) < self._length:
            return {}
        self._close()
        return self._encode() if len(self._clips) == self._batch else {}

    def _rest(self) -> dict[str, Tensor]:
        if self._fresh:
            self._close()
        return self._encode() if self._clips else {}

    def _close(self) -> None:
        self._clips.append(self._taken(self._length))
        self._held = self._held[self._length - self._overlap :]
        self._valid, self._fresh = self._valid + self._fresh, 0

    def _encode(self) -> dict[str, Tensor]:
        clips, self._clips = self._clips, []
        frames, self._valid = self._valid, 0
        return self._encoded(self._model, clips, frames)


class PieceEncoder(EncoderStream):
    """One video in pieces, for models that carry their state along: one frame, then ``length`` at a time.

    ``encode`` holds the state and is given one piece after the other, whole cells of the tokens' ``layout``.
    """

    def __init__(self, encode: Encode, fit: Fit, layout: GridTokens, length: int) -> None:
        super().__init__(fit)
        self._encode, self._layout, self._length = encode, layout, length
        self._begun = False

    def axis(self, name: str) -> int:
        """As :meth:`EncoderStream.axis`."""
        return 1 + self._layout.time_axis(name)

    def _complete(self) -> dict[str, Tensor]:
        full = len(self._held) == (self._length if self._begun else 1)
        return self._next(len(self._held)) if full else {}

    def _rest(self) -> dict[str, Tensor]:
        left = len(self._held)
        return self._next(left + -left % self._layout.time) if left else {}

    def _next(self, length: int) -> dict[str, Tensor]:
        piece, frames = self._taken(length), self._fresh
        self._held, self._begun, self._fresh = [], True, 0
        return self._encoded(self._encode, [piece], frames)


class DecoderStream(ABC):
    """Tokens of one video in, its frames out: of the source's size, joined across clips.

    Args:
        decode: the model.
        fit: how the source's frames were padded.
        frames: of the source; None for all that come, with those that fill up the last clip.
        overlap: frames that neighbouring clips share; they are cross-faded.
        soften: whether the jump between clips that do not overlap is evened out.
    """

    def __init__(
        self, decode: Decode, fit: Fit, frames: int | None, overlap: int = 0, soften: bool = False
    ) -> None:
        self._model, self._fit = decode, fit
        self._joiner = ClipJoiner(overlap, frames, soften=soften and not overlap)
        self._begun = self._finished = False
        self._overlap, self._total, self._decoded = overlap, frames, 0
        self.on_frames: OnFrames | None = None  # told of frames of the source that are decoded

    def push(self, tokens: Mapping[str, Tensor]) -> list[np.ndarray]:
        """The next frames, uint8 RGB ``[h, w, 3]`` each; some may be held back for a later push.

        Args:
            tokens: on the model's device, as :meth:`EncoderStream.push` gives them; none, where it gave none.

        Raises:
            ValueError: tokens that do not fit the size, or the stream is finished.
        """
        if self._finished:
            raise ValueError(_FINISHED)
        if not tokens:
            return []
        self._begun = True
        return self._given(self._model(tokens))

    def finish(self) -> list[np.ndarray]:
        """The frames that were held back; nothing more may be pushed.

        Raises:
            ValueError: fewer frames came than the source has.
        """
        if self._finished:
            return []
        self._finished = True
        return (self._rest() if self._begun else []) + self._joiner.finish()

    @abstractmethod
    def split(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of a whole video in parts, each for one :meth:`push`."""

    def _rest(self) -> list[np.ndarray]:
        return []

    def _given(self, bands: Iterable[Tensor]) -> list[np.ndarray]:
        """The frames to show of what the model gives, perhaps nothing yet."""
        fit, clips, top = self._fit, list[list[np.ndarray]](), 0
        for band in bands:
            rows = band.cpu().numpy()
            if not clips:
                size = (fit.height, fit.width, 3)
                # One by one, so that each can go when it is shown.
                clips = [[np.empty(size, np.uint8) for _ in clip] for clip in rows]
            for clip, parts in zip(clips, rows, strict=True):
                for frame, part in zip(clip, parts, strict=True):
                    shown = frame[top : top + len(part)]
                    shown[:] = part[: len(shown), : fit.width]
            top += rows.shape[2]
            if top < fit.padded_height:
                self._tell(self._decoded + top / fit.padded_height * self._added(clips))
        if clips and top != fit.padded_height:
            raise ValueError(f"expected {fit.padded_height} rows of decoded pixels, got {top}")
        self._decoded += self._added(clips)
        if clips:
            self._tell(self._decoded)
        return [frame for clip in clips if clip for frame in self._joiner.push(clip)]

    def _added(self, clips: list[list[np.ndarray]]) -> int:
        """Frames of the video that these clips add to those before."""
        return sum(max(0, len(clip) - self._overlap) for clip in clips)

    def _tell(self, frames: float) -> None:
        if self.on_frames is not None:
            self.on_frames(frames if self._total is None else min(frames, self._total))


class ClipDecoder(DecoderStream):
    """Clips that were encoded each by itself, of which ``batch`` go through the model at once."""

    def __init__(
        self, decode: Decode, fit: Fit, frames: int | None, batch: int, overlap: int, soften: bool
    ) -> None:
        super().__init__(decode, fit, frames, overlap, soften)
        self._batch = batch

    def split(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """As :meth:`DecoderStream.split`."""
        yield from split_clips(arrays, self._batch)


class PieceDecoder(DecoderStream):
    """One video in pieces, for models that carry their state along: one frame, then ``length`` at a time.

    ``decode`` holds the state: given the next piece's tokens of that ``layout``, or None at the end, it gives
    the frames that are ready.
    """

    def __init__(self, decode: Decode, fit: Fit, frames: int | None, layout: GridTokens, length: int) -> None:
        super().__init__(decode, fit, frames)
        self._layout, self._step = layout, length // layout.time

    def split(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """As :meth:`DecoderStream.split`: along time, as the frames were when they were encoded."""
        axes = {name: 1 + self._layout.time_axis(name) for name in arrays}
        total = next(iter(arrays.values())).shape[next(iter(axes.values()))]
        for start, end in pairwise([0, *range(1, total, self._step), total]):
            yield {name: array.take(range(start, end), axis=axes[name]) for name, array in arrays.items()}

    def _rest(self) -> list[np.ndarray]:
        return self._given(self._model(None))
