"""Frames into an animated GIF."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import BlockingIOError, EOFError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from sweettok_cli.files import atomic_output
from sweettok_cli.video.writer import coarse_ticks

_CLOCK = Fraction(1, 100)  # a GIF counts in hundredths of a second
_LONGEST = 65535  # of them, in 16 bits


def gif_ticks(path: Path, frames: int, rate: Fraction, times: Sequence[Fraction] | None) -> list[int]:
    """When each frame shows, in hundredths of a second.

    Raises:
        SweettokError: frames follow faster than players of GIF show them, or a pause is too long for one.
    """
    shown = times or [number / rate for number in range(frames)]
    return coarse_ticks(path, shown, _CLOCK, _LONGEST)


@contextmanager
def gif_writer(
    path: Path,
    width: int,
    height: int,
    frames: int,
    rate: Fraction,
    times: Sequence[Fraction] | None = None,
    force: bool = False,
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what takes the frames, uint8 RGB [h, w, 3]; the file is whole once the block ends.

    Each frame has 256 colours of its own, dithered; memory holds one frame.

    Raises:
        SweettokError: as :func:`gif_ticks`; or the file exists or cannot be written.
        ValueError: more than ``frames`` came.
    """
    ticks = gif_ticks(path, frames, rate, times)
    lasts = [b - a for a, b in itertools.pairwise(ticks)]
    lasts.append(lasts[-1] if lasts else max(2, round(1 / (rate * _CLOCK))))
    with (
        atomic_output(path, force) as temporary,
        av.open(str(temporary), "w", format="gif") as container,
    ):
        stream = container.add_stream("gif", rate=Fraction(100))
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        stream.codec_context.time_base = _CLOCK
        graph = _palette(width, height)
        done = 0

        def write(rgb: np.ndarray) -> None:
            nonlocal done
            if done == frames:
                raise ValueError(f"more than {frames} frames")
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts, frame.time_base = done, Fraction(1)
            graph.push(frame)
            done += 1
            mux()

        def mux() -> None:
            while True:
                try:
                    frame = graph.pull()
                except (BlockingIOError, EOFError):
                    return
                assert isinstance(frame, VideoFrame) and frame.pts is not None
                number = frame.pts
                frame.pts, frame.time_base = ticks[number], _CLOCK
                for packet in stream.encode(frame):
                    packet.duration = lasts[number]
                    container.mux(packet)

        yield write
        graph.push(None)
        mux()
        container.mux(stream.encode(None))


def _palette(width: int, height: int) -> Graph:
    """RGB frames in, frames of 256 colours out, chosen for each."""
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=Fraction(1))
    split, choose = graph.add("split"), graph.add("palettegen", "stats_mode=single")
    use, sink = graph.add("paletteuse", "new=1"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(choose, 0, 0)
    split.link_to(use, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
