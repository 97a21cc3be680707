"""YUV to RGB and back with the matrix and range that the stream states.

libswscale knows both, but what PyAV hands it by default changed between versions 14 and 18: a BT.709 file
came out up to 32 grey levels wrong in the older one. Naming source and target explicitly gives the same
picture in both, within one or two levels of the exact formula (tests/video/test_color.py).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.source import reason

# Matrix coefficients, ITU-T H.273 table 4 -> libswscale's table. Constant-luminance BT.2020 is read as the
# common non-constant kind: the difference shows only in saturated edges.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_RGB, _UNSPECIFIED = 0, 2
_BT709, _BT601 = 1, 5
_LIMITED, _FULL = 1, 2
# Bicubic, accurate rounding, full chroma in both directions: without full chroma a grey ramp loses its whites
# (255 comes back as 253) and chroma is repeated instead of interpolated.
_PRECISE = 0x4 | 0x40000 | 0x2000 | 0x4000
HD_LINES = 720
# libswscale takes these for limited range, and ends the program over some of them.
_GREY_FLOATS = re.compile("(gray|ya)f(16|32)(le|be)")
# To packed RGB it swaps the bytes of these; to planar RGB it leaves their lowest bits empty.
_TAKEN_FOR_SWAPPED = {"rgb555be", "rgb565be", "bgr555be", "bgr565be"}


class ToRgb:
    """Converts the frames of one stream to uint8 RGB [h, w, 3].

    Tags are honoured frame by frame. Untagged video is taken as BT.601 below 720 lines and BT.709 from there
    on, in limited range, as players do; grey and "yuvj" formats without a tag are full range. What is
    transparent is laid over white, more than eight bits are rounded to eight, high dynamic range is not
    tone-mapped.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
        """Convert, and scale to ``size`` (width, height) where one is given.

        Raises:
            SweettokError: a colour matrix that cannot be converted (YCgCo, ICtCp and the like), or a way to
                store pixels.
        """
        width, height = size or (frame.width, frame.height)
        name = frame.format.name
        if _GREY_FLOATS.match(name):
            return on_white(_of_floats(frame).resize((width, height), Image.Resampling.BICUBIC))
        matrix = _source_matrix(frame)
        transparent = any(component.is_alpha for component in frame.format.components)
        try:
            converted = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="rgba" if transparent else "gbrp" if name in _TAKEN_FOR_SWAPPED else "rgb24",
                src_colorspace=matrix,
                # RGB has no matrix; but where both are equal old versions skip setting the source's.
                dst_colorspace=_BT601 if matrix == _BT709 else _BT709,
                src_color_range=_source_range(frame),
                dst_color_range=_FULL,
                interpolation=_PRECISE,
            )
        except FFmpegError as error:
            if (width, height) == (frame.width, frame.height):
                raise SweettokError(
                    f"pixels stored as {name} cannot be converted ({reason(error)}); convert the video to "
                    "yuv420p first."
                ) from error
            # libswscale does not scale what is a thousand times as wide as high to a square.
            picture = Image.fromarray(self(frame))
            return np.array(picture.resize((width, height), Image.Resampling.BICUBIC))
        rgb: np.ndarray = converted.to_ndarray()
        if name in _TAKEN_FOR_SWAPPED:
            return rgb | rgb >> 5
        if transparent:
            return on_white(Image.fromarray(rgb, "RGBA"))
        # libswscale takes every grey for full range.
        if name.startswith("gray") and _source_range(frame) == _LIMITED:
            return _FULL_OF_LIMITED[rgb]
        return rgb


def _of_floats(frame: VideoFrame) -> Image.Image:
    """Grey from 0 to 1, with or without alpha."""
    match = _GREY_FLOATS.match(frame.format.name)
    assert match is not None
    alpha, width, order = match[1] == "ya", int(match[2]) // 8, "<" if match[3] == "le" else ">"
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), f"{order}f{width}").reshape(-1, plane.line_size // width)
    values = rows[: frame.height, : frame.width * (1 + alpha)].astype(np.float32)
    levels = np.rint(np.nan_to_num(values) * 255).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(levels.reshape(frame.height, frame.width, 2) if alpha else levels)
    return picture.convert("RGBA")


def on_white(picture: Image.Image) -> np.ndarray:
    """An RGBA picture laid over white, uint8 RGB [h, w, 3]."""
    return np.array(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))


# Black is 16 and white 235 (ITU-R BT.601, 2.5.3).
_FULL_OF_LIMITED = np.rint((np.arange(256) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)


class FromRgb:
    """Converts uint8 RGB [h, w, 3] to BT.709 limited-range frames of one pixel format, tagged as such.

    ``yuv420p`` has its chroma where H.264 says that it is unless told otherwise: level with every second
    column, between two rows (ITU-T H.264, figure E-1). libswscale would put it half a pixel to the right.
    """

    def __init__(self, pixel_format: str) -> None:
        self._reformatter = VideoReformatter()
        self._subsampled = pixel_format == "yuv420p"
        self._format = "yuv444p" if self._subsampled else pixel_format

    def __call__(self, rgb: np.ndarray) -> VideoFrame:
        """Convert one picture."""
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        converted = self._reformatter.reformat(
            frame,
            format=self._format,
            src_colorspace=_BT601,
            dst_colorspace=_BT709,
            src_color_range=_FULL,
            dst_color_range=_LIMITED,
            interpolation=_PRECISE,
        )
        if self._subsampled:
            luma, *chroma = converted.to_ndarray()
            planes = [luma, *map(_left_sited, chroma)]
            packed = np.concatenate([plane.ravel() for plane in planes])
            converted = VideoFrame.from_ndarray(packed.reshape(-1, luma.shape[1]), format="yuv420p")
        converted.colorspace = _BT709
        converted.color_range = _LIMITED
        return converted


def packed_rgb(rgb: np.ndarray) -> VideoFrame:
    """One picture, uint8 RGB [h, w, 3], as a frame that stays RGB."""
    return VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")


def _left_sited(plane: np.ndarray) -> np.ndarray:
    """A plane [h, w] of even sides at half its size, level with every second column and between two rows."""
    width = plane.shape[1]
    wide = np.pad(plane.astype(np.int32), ((0, 0), (3, 3)), mode="edge")
    # The half-band filter -1 0 9 16 9 0 -1 around every second column, then means of two rows.
    taps = ((0, -1), (2, 9), (3, 16), (4, 9), (6, -1))
    columns = np.sum([weight * wide[:, start : start + width : 2] for start, weight in taps], axis=0)
    return ((columns[::2] + columns[1::2] + 32) >> 6).clip(0, 255).astype(np.uint8)


def _is_rgb(frame: VideoFrame) -> bool:
    return bool(frame.format.is_rgb) or frame.format.name == "pal8"


def _source_matrix(frame: VideoFrame) -> int:
    tag = int(frame.colorspace)
    if _is_rgb(frame) or frame.format.name.startswith("gray"):
        return _BT601
    if tag in (_RGB, _UNSPECIFIED, 3):
        return _BT601 if frame.height < HD_LINES else _BT709
    if tag not in _MATRICES:
        raise SweettokError(
            f"colour matrix {tag} (ITU-T H.273) cannot be converted; convert the video to BT.709 first."
        )
    return _MATRICES[tag]


def _source_range(frame: VideoFrame) -> int:
    name = frame.format.name
    if _is_rgb(frame) or name.startswith("yuvj"):
        return _FULL
    tag = int(frame.color_range)
    if tag in (_LIMITED, _FULL):
        return tag
    return _FULL if name.startswith("gray") else _LIMITED


def tag_options() -> dict[str, Any]:
    """Encoder options that state what :class:`FromRgb` makes."""
    colour = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
    return {**colour, "chroma_sample_location": "left"}
