"""Still and animated pictures through Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.video.source import PICTURES, reason

_HEADS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_JPEG = {"quality": 95, "subsampling": 0}
_OPTIONS: dict[str, dict[str, Any]] = {".jpg": _JPEG, ".jpeg": _JPEG, ".webp": {"lossless": True}}
# What browsers show where an animation states no time.
_DEFAULT_MILLISECONDS = 100


def is_picture(path: Path) -> bool:
    """Whether the file's first bytes are those of PNG, JPEG, WebP, BMP or TIFF. (GIF is read as a video.)"""
    with open(path, "rb") as stream:
        head = stream.read(12)
    return head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def read_pictures(path: Path) -> Iterator[tuple[np.ndarray, Fraction]]:
    """The frames of a picture file, uint8 RGB [h, w, 3], each with the time it starts at in seconds.

    A still picture has one. The camera's orientation (EXIF) is applied, 16 bits a channel are rounded to 8,
    and transparent parts are laid over white.

    Raises:
        SweettokError: the file is damaged or too large.
    """
    with _opened(path) as image:
        time = Fraction(0)
        for index in range(_count(image)):
            image.seek(index)
            yield _rgb(image), time
            shown = Fraction(image.info.get("duration") or _DEFAULT_MILLISECONDS).limit_denominator(1000)
            time += shown / 1000


def count_pictures(path: Path) -> int:
    """How many frames a picture file holds.

    Raises:
        SweettokError: the file is damaged or too large.
    """
    with _opened(path) as image:
        return _count(image)


def _count(image: Image.Image) -> int:
    # The pages of a TIFF and the second picture of a phone's JPEG are no animation.
    return getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP") else 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SweettokError(
            f"{path} is too large a picture to be read safely; scale it down first."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise SweettokError(
            f"{path} is a damaged picture ({reason(error)}); save or fetch it again."
        ) from error


def _rgb(image: Image.Image) -> np.ndarray:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        deep = np.asarray(upright).astype(np.float32) / 257
        return np.repeat(np.rint(deep).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if "A" in upright.getbands() or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright)
    return np.array(upright.convert("RGB"))


def write_image(path: Path | str, rgb: np.ndarray, *, force: bool = False) -> None:
    """Write uint8 RGB [h, w, 3]; the ending picks PNG, WebP (both exact), JPEG (quality 95), BMP or TIFF.

    Raises:
        SweettokError: an unknown ending, the file exists and ``force`` is not given, or it cannot be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in PICTURES:
        raise SweettokError(f"{path} has no known picture ending; name it .png, .jpg or .webp.")
    with atomic_output(path, force) as temporary:
        Image.fromarray(rgb).save(temporary, **_OPTIONS.get(ending, {}))
