"""Frames beside what their tokens decode to, without a file in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.encode import frames_ahead
from sweettok_cli.pipeline.threads import read_ahead
from sweettok_cli.tokens.description import fit_source
from sweettok_cli.video.info import VideoInfo


@dataclass
class Seconds:
    """Time that a model takes, without reading and without what is done with its frames."""

    encode: float = 0.0
    decode: float = 0.0

    @contextmanager
    def taken(self, half: str) -> Iterator[None]:
        """Add the time of the block to ``encode`` or ``decode``."""
        start = time.perf_counter()
        yield
        setattr(self, half, getattr(self, half) + time.perf_counter() - start)


def reconstruct_frames(
    frames: Iterator[np.ndarray],
    info: VideoInfo,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    on_arrays: Callable[[dict[str, np.ndarray]], None] | None = None,
    seconds: Seconds | None = None,
    budget: Budget = USUAL,
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Each of some frames beside what its tokens decode to; memory does not grow with their number.

    Args:
        frames: uint8 RGB [h, w, 3], gone through in a thread of their own.
        info: says their size, and whether they are one image.
        batch_clips: as for :func:`~sweettok_cli.pipeline.encode.encode_video`, like ``overlap``.
        on_arrays: given the index arrays of each batch, e.g. to count which codes are used.
        seconds: filled in while frames come.
        budget: how many bits they may take, or how good they shall be, of a model with levels.

    Raises:
        SweettokError: the frames or the budget do not suit the tokenizer.
    """
    clock = seconds or Seconds()
    fit = fit_source(info, tokenizer.spec, overlap)
    encoder = tokenizer.encoder(
        fit, image=info.is_image, overlap=overlap, batch_clips=batch_clips, budget=budget
    )
    decoder = tokenizer.decoder(fit, overlap=0 if info.is_image else overlap)
    sources: deque[np.ndarray] = deque()

    def decoded(frame: np.ndarray | None) -> list[np.ndarray]:
        """What is ready once ``frame``, or None after the last, is pushed."""
        with clock.taken("encode"):
            tokens = encoder.finish() if frame is None else encoder.push(frame[None])
            arrays = tokenizer.stored(tokens)
        if arrays and on_arrays is not None:
            on_arrays(arrays)
        with clock.taken("decode"):
            found = decoder.push(tokens)
            return found + decoder.finish() if frame is None and encoder.frames else found

    with closing(read_ahead(frames, frames_ahead(info.width, info.height))) as given:
        for frame in given:
            sources.append(frame)
            for back in decoded(frame):
                yield sources.popleft(), back
        # What follows the last real frame only fills up the last clip.
        for source, back in zip(sources, decoded(None), strict=False):
            yield source, back
