"""One clip before and after, as one video: all panels of a frame are one picture and stay in step."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from sweettok_cli.inspect.side_by_side import difference
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.video.color import FromRgb, tag_options

GAIN = 4.0
_LARGEST_SIDE = 640  # of a panel; larger frames are shown smaller
_BLOCK = 16  # of the codec: panels that begin on one do not colour one another
_CRF = 23  # about 40 dB from the frames: enough to see by; figures are taken before
_KEY_FRAMES = 24  # at most so far apart: any frame is soon found


@dataclass
class Film:
    """A clip for the page.

    Panels lie in two columns: the source at the top left, and below it a row for each contender with its
    reconstruction at the left and the amplified difference at the right.

    Attributes:
        width: of a panel as shown, in pixels.
        height: of a panel as shown.
        column: pixels from one panel to the next one to the right.
        row: pixels from one panel to the next one below.
        rate: frames a second.
        frames: how many.
        kind: media type of ``data``.
        data: an MP4 file, or a PNG for a single picture.
        psnr: of every frame at full size, by contender.
    """

    width: int
    height: int
    column: int
    row: int
    rate: Fraction
    frames: int
    kind: str
    data: bytes
    psnr: dict[str, list[float]] = field(default_factory=dict)


def make_film(versions: Iterable[tuple[str, np.ndarray, np.ndarray]], rate: Fraction) -> Film:
    """Draw and encode.

    Args:
        versions: of each contender its name, the source and the reconstruction, uint8 ``[t, h, w, 3]``.
            They are asked for one after the other, and only what is shown of them is kept.
        rate: frames a second.
    """
    panels: list[np.ndarray] = []
    scores: dict[str, list[float]] = {}
    for name, source, decoded in versions:
        if not panels:
            panels.append(_shown(source))
        scores[name] = [psnr(before, after) for before, after in zip(source, decoded, strict=True)]
        errors = (difference(before, after, GAIN) for before, after in zip(source, decoded, strict=True))
        panels += [_shown(decoded), _shown(errors)]
    frames, height, width = panels[0].shape[:3]
    column, row = (-(-side // _BLOCK) * _BLOCK for side in (width, height))
    # Panel 0 is alone in its row: the place beside the source stays grey.
    places = [(0, 0), *(((number - 1) % 2, (number + 1) // 2) for number in range(1, len(panels)))]
    sheet = np.full((row * (1 + len(scores)), 2 * column, 3), 128, np.uint8)

    def draw(number: int) -> np.ndarray:
        for (x, y), panel in zip(places, panels, strict=True):
            padding = ((0, row - height), (0, column - width), (0, 0))
            box = slice(y * row, (y + 1) * row), slice(x * column, (x + 1) * column)
            sheet[box] = np.pad(panel[number], padding, mode="edge")
        return sheet

    if frames == 1:
        kind, data = "image/png", _png(draw(0))
    else:
        kind, data = "video/mp4", _mp4(map(draw, range(frames)), sheet.shape[1::-1], rate)
    return Film(width, height, column, row, rate, frames, kind, data, scores)


def _shown(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Frames in the size of a panel."""
    return np.stack([_smaller(frame) for frame in frames])


def _smaller(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = _LARGEST_SIDE / max(width, height)
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _png(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _mp4(pictures: Iterable[np.ndarray], size: tuple[int, ...], rate: Fraction) -> bytes:
    stream = io.BytesIO()
    convert = FromRgb("yuv420p")
    with av.open(stream, "w", format="mp4") as container:
        options = {"crf": str(_CRF), "preset": "fast", "g": str(_KEY_FRAMES), "bf": "0", **tag_options()}
        video = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            frame = convert(picture)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return stream.getvalue()
