"""Pixels that are handed in from Python, arrays and tensors: checked, made 8-bit frames, written."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.images import write_image
from sweettok_cli.video.info import VideoInfo
from sweettok_cli.video.writer import DEFAULT_CRF, VideoWriter

if TYPE_CHECKING:
    from torch import Tensor

#: What resizing with a sharp filter leaves beyond 0 and 1 is cut off; more is another range.
_BEYOND = 1 / 16


def as_frames(video: np.ndarray | Tensor) -> np.ndarray:
    """Pixels as the program works on them: uint8 RGB ``[t, h, w, 3]``, or ``[h, w, 3]`` of an image.

    Args:
        video: ``[t, h, w, 3]`` or ``[t, 3, h, w]``; of an image ``[h, w, 3]`` or ``[3, h, w]``. Where both
            axes hold three, the last one is the colours. uint8, or floating point from 0 to 1. A NumPy array,
            a Torch tensor of any device, or what NumPy makes an array of (a picture of Pillow).

    Raises:
        TypeError: no array, or numbers of another kind.
        ValueError: another shape, no pixel, values that are not finite or out of range.
    """
    array = _channels_last(_as_array(video))
    if array.dtype == np.uint8:
        return array
    if array.ndim == 3:
        return _as_bytes(array, "The image")
    found = np.empty(array.shape, np.uint8)  # frame by frame, for what is between takes four times as much
    for number, frame in enumerate(array):
        found[number] = _as_bytes(frame, f"Frame {number} of the video")
    return found


def as_clips(clips: np.ndarray | Tensor, lengths: Sequence[int], multiple: int) -> np.ndarray:
    """A batch of clips as networks take them, uint8 RGB ``[b, t, h, w, 3]``: nothing is converted or padded.

    Args:
        clips: an array or a tensor.
        lengths: what ``t`` may be; any, where there are none.
        multiple: of which ``h`` and ``w`` are, in pixels.

    Raises:
        TypeError: no array.
        ValueError: another type or shape.
    """
    array = _as_array(clips)
    shape = list(array.shape)
    fits = array.dtype == np.uint8 and array.ndim == 5 and array.size > 0 and shape[-1] == 3
    if fits and (not lengths or shape[1] in lengths) and not any(side % multiple for side in shape[2:4]):
        return array
    hint = "convert, cut and pad them so"
    if array.ndim == 4:
        hint = "clip[None] makes a batch of one clip"
    elif shape[-1:] == [4]:
        hint = "clips[..., :3] leaves out what is transparent"
    length = " or ".join(map(str, lengths)) or "t"
    raise ValueError(
        f"A batch of clips is uint8 [b, {length}, h, w, 3], h and w multiples of {multiple}, not "
        f"{array.dtype} {shape}; {hint}."
    )


def as_rate(rate: Fraction | float) -> Fraction:
    """Frames a second as an exact number.

    Raises:
        ValueError: it is not above 0, or no number.
    """
    try:
        exact = Fraction(rate).limit_denominator(1 << 20)
    except (TypeError, ValueError, OverflowError):
        exact = Fraction(0)
    if exact <= 0:
        raise ValueError(f"The rate is in frames a second, a number above 0, not {rate!r}.")
    return exact


def as_video(video: np.ndarray | Tensor, rate: Fraction | float) -> tuple[np.ndarray, VideoInfo]:
    """Pixels as the frames of a source, uint8 RGB ``[t, h, w, 3]``, and what there is to know of it.

    Args:
        video: as :func:`as_frames` takes it; an image is one frame.
        rate: frames a second of a video.

    Raises:
        TypeError, ValueError: as :func:`as_frames` and :func:`as_rate` raise them.
    """
    pixels = as_frames(video)
    image = pixels.ndim == 3
    frames, exact = pixels[None] if image else pixels, as_rate(rate)
    info = VideoInfo(
        path=Path(),
        width=frames.shape[2],
        height=frames.shape[1],
        rate=Fraction(1) if image else exact,
        frames=len(frames),
        time_base=1 / exact,
        variable_rate=False,
        has_audio=False,
        is_image=image,
    )
    return frames, info


def as_path(path: str | PathLike[str]) -> Path:
    """The path of a file that is read as a whole, such as a token file.

    Raises:
        SweettokError: it is an address of the network, where only videos are read.
    """
    if isinstance(path, str) and "://" in path:
        raise SweettokError(
            f"{path} is an address, and only videos are read from one; fetch it and give its path."
        )
    return Path(path)


def write_video(
    path: str | Path,
    video: np.ndarray | Tensor,
    rate: Fraction | float = 24,
    *,
    crf: float = DEFAULT_CRF,
    force: bool = False,
) -> None:
    """Write a video in memory as a file, whole or not at all; an image becomes a picture.

    Args:
        path: ends as :class:`~sweettok_cli.video.writer.VideoWriter` takes it, a picture's as ``.png``,
            ``.jpg``, ``.webp``, ...
        video: as :func:`as_frames` takes it.
        rate: frames a second.
        crf: x264's quality, 0 (best) to 51.
        force: replace an existing file.

    Raises:
        TypeError, ValueError: see :func:`as_frames` and :func:`as_rate`.
        SweettokError: the file exists, or cannot be written.
    """
    frames, path = as_frames(video), Path(path)
    if frames.ndim == 3:
        write_image(path, frames, force=force)
        return
    height, width = frames.shape[1:3]
    with VideoWriter(path, width, height, as_rate(rate), crf=crf, force=force) as writer:
        for frame in frames:
            writer.write(np.ascontiguousarray(frame))


def _as_array(video: Any) -> np.ndarray:
    if isinstance(video, np.ndarray):
        return video
    if hasattr(video, "detach"):  # a tensor; Torch takes seconds to import, and is there if this is one
        tensor = video.detach().cpu()
        narrow = tensor.is_floating_point() and tensor.element_size() < 4  # some of which NumPy does not know
        return (tensor.float() if narrow else tensor).numpy()
    if hasattr(video, "__array__") or hasattr(video, "__array_interface__"):
        return np.asarray(video)
    if isinstance(video, list | tuple):
        raise TypeError("Pixels are one array, not a list of frames; join them with numpy.stack.")
    raise TypeError(f"Pixels are a NumPy array or a Torch tensor, not {type(video).__name__}.")


def _channels_last(array: np.ndarray) -> np.ndarray:
    shape = list(array.shape)
    if array.ndim == 5:
        raise ValueError(f"{shape} is a batch; give one video of it, or clips to encode_clips.")
    if array.ndim not in (3, 4):
        raise ValueError(
            f"A video is [t, h, w, 3] or [t, 3, h, w], an image [h, w, 3] or [3, h, w], not {shape}."
        )
    if not array.size:
        raise ValueError(f"A video of the shape {shape} holds no pixel.")
    if array.shape[-1] == 3:
        return array
    if array.shape[-3] == 3:
        return np.moveaxis(array, -3, -1)
    if array.ndim == 4 and array.shape[0] == 3:
        raise ValueError(f"{shape} has its colours first; give [t, 3, h, w], swapping the first two axes.")
    raise ValueError(f"{shape} has no axis of three colours at its end or before height and width; give RGB.")


def _as_bytes(frame: np.ndarray, name: str) -> np.ndarray:
    if frame.dtype.kind != "f":
        raise TypeError(
            f"Pixels are uint8, or floating point from 0 to 1, not {frame.dtype}; convert those of 0 to 255 "
            "to uint8."
        )
    frame = frame.astype(np.float32)
    least, most = float(frame.min()), float(frame.max())
    if not np.isfinite([least, most]).all():
        raise ValueError(f"{name} holds values that are not finite (NaN or infinity).")
    if least < -_BEYOND or most > 1 + _BEYOND:
        raise ValueError(
            f"{name} holds values from {least:.4g} to {most:.4g}, and floating-point pixels go from 0 to 1; "
            "scale or clip them, or convert those of 0 to 255 to uint8."
        )
    return np.rint(frame.clip(0, 1) * 255).astype(np.uint8)
