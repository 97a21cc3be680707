"""Frames on their way into a model: fitted to its grid, cut into clips or pieces of a stream, stacked."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.tokenizers.base import Tokenizer
from sweettok_cli.tokenizers.spec import GridTokens, TokenizerSpec
from sweettok_cli.video import Clip, Fit, VideoInfo, cut, cut_stream


@dataclass(frozen=True)
class Batch:
    """Clips (or one piece of a stream), and ``padded`` uint8 [b, t, padded_h, padded_w, 3] for the model."""

    clips: list[Clip]
    padded: np.ndarray

    @property
    def valid(self) -> int:
        """Frames of the source that no batch before holds."""
        return sum(clip.valid for clip in self.clips)


def fit_source(info: VideoInfo, spec: TokenizerSpec, overlap: int) -> Fit:
    """How the frames of a source are padded for a tokenizer.

    Raises:
        SweettokError: the source or the overlap does not suit the tokenizer.
    """
    name = video_name(info)
    if info.is_image and not spec.images:
        raise SweettokError(f"{name} is an image, which {spec.name} cannot encode; choose another --model.")
    if overlap and spec.stream_frames is not None:
        raise SweettokError(
            f"{spec.name} reads {name} as one stream, in which no clips overlap; leave out --overlap."
        )
    if overlap >= spec.clip_frames:
        raise SweettokError(
            f"{name} cannot be cut into clips of {spec.clip_frames} frames that overlap by {overlap}; "
            f"pass --overlap {spec.clip_frames - 1} or less."
        )
    return Fit.to_multiple(info.width, info.height, spec.multiple)


def video_name(info: VideoInfo) -> str:
    """What to call a source in a message: its path, if it has one."""
    return str(info.path) if info.path.name else "The video"


def batches(
    frames: Iterable[np.ndarray], tokenizer: Tokenizer, fit: Fit, image: bool, overlap: int, size: int | None
) -> Generator[Batch, None, None]:
    """What the model is given, one after the other.

    Args:
        frames: uint8 RGB [h, w, 3] of the source.
        tokenizer: the model.
        fit: from :func:`fit_source`.
        image: the source is one picture.
        overlap: frames that each clip repeats of the one before.
        size: clips in a batch; the tokenizer's own choice by default.
    """
    spec = tokenizer.spec
    if spec.stream_frames is not None:
        assert isinstance(spec.layout, GridTokens)
        for piece in cut_stream(frames, spec.stream_frames, spec.layout.time):
            yield Batch([piece], fit.pad(piece.frames)[None])
        return
    clips = cut(frames, 1 if image else spec.clip_frames, 0 if image else overlap)
    for group in _grouped(clips, size or tokenizer.batch_clips):
        yield Batch(group, np.stack([fit.pad(clip.frames) for clip in group]))


def encoded(given: Iterable[Batch], tokenizer: Tokenizer) -> Generator[dict[str, np.ndarray], None, None]:
    """The arrays of each batch in turn."""
    if tokenizer.spec.stream_frames is not None:
        yield from tokenizer.encode_stream(batch.padded for batch in given)
        return
    for batch in given:
        yield tokenizer.encode_clips(batch.padded)


def _grouped(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
