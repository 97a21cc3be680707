"""Still and animated pictures through Pillow."""

from __future__ import annotations

import io
import mmap
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError, features

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, check_ending
from sweettok_cli.video.color import on_white
from sweettok_cli.video.remote import RemoteFile
from sweettok_cli.video.source import (
    MAX_PIXELS,
    File,
    Source,
    check_readable,
    max_pixels,
    reason,
    source_name,
)
from sweettok_cli.video.stored import Stored

_HEADS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"qoif"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF and BigTIFF
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),  # JPEG 2000
)
_HEIF, _AVIF, _MOVING_AVIF = (b"heic", b"heix", b"heim", b"heis", b"mif1"), b"avif", b"avis"
# Heads of Netpbm: width, height and, but for bits, the highest value.
_BITS = rb"P4\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s"
_VALUES = rb"P[56]\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+(\d+)\s"
# TGA has no mark at its beginning.
_NAMES = {".tga", ".icb", ".vda", ".vst"}
WRITTEN = frozenset((".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff"))
_JPEG = {"quality": 95, "subsampling": 0}
_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": {"lossless": True},
    ".avif": {"quality": 95, "subsampling": "4:4:4"},
}
# Orientations of EXIF (CIPA DC-008, 4.6.4): degrees clockwise, after mirroring left to right.
_TURNS = {
    **{1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True)},
    **{5: (270, True), 6: (90, False), 7: (90, True), 8: (270, False)},
}
# What Pillow and its plugins raise over damage.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, RuntimeError, TypeError),
    *(LookupError, ArithmeticError, struct.error, zlib.error),
)
# What browsers show where an animation states no time.
_DEFAULT_MILLISECONDS = 100


def is_picture(source: Source) -> bool:
    """Whether Pillow reads this: PNG, JPEG, WebP, AVIF, HEIC, JPEG 2000, TIFF, BMP, PNM, QOI, TGA, still GIF.

    Moving GIFs, and pictures joined in one file (raw MJPEG, ``ffmpeg -f image2pipe``), are read as videos.
    """
    head = _head(source)
    if not head.startswith((*_HEADS, b"P", b"RIFF", b"GIF")) and head[4:8] != b"ftyp":
        return isinstance(source, File) and source.suffix.lower() in _NAMES
    if head[4:8] == b"ftyp" and head[8:12] not in (*_HEIF, _AVIF, _MOVING_AVIF):
        return False
    data = _bytes(source)
    try:
        if isinstance(source, File) and source.suffix.lower() in (".mjpeg", ".mjpg"):
            return False  # their pictures may lie apart
        if head.startswith(_HEADS) or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()):
            return not _is_joined(data, head)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return not _is_joined(data, head)
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _is_still(data)
        if head[4:8] == b"ftyp":
            # libav is blind to the transparency of moving ones, and knows their rate better than Pillow.
            moving = head[8:12] == _MOVING_AVIF and data.find(b"auxv") >= 0
            return moving or head[8:12] in (*_HEIF, _AVIF)
        return isinstance(source, File) and source.suffix.lower() in _NAMES
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


def _head(source: Source) -> bytes:
    """The first bytes, by which kinds of files can be told."""
    if isinstance(source, File):
        check_readable(source)  # opening a pipe would wait for whoever writes into it
        with source.open("rb") as stream:
            return stream.read(32)
    source.seek(0)
    head = source.read(32)
    source.seek(0)
    return head


def _bytes(source: Source) -> mmap.mmap | bytes:
    """The whole file, of which only what is looked at is read, where it is on this machine."""
    if isinstance(source, Path):
        with open(source, "rb") as stream:
            try:
                return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # empty, or no memory of its own
                return stream.read()
    if isinstance(source, RemoteFile):
        with source.open("rb") as stream:
            return stream.read()
    source.seek(0)
    data = source.read()
    source.seek(0)
    return data


def _is_joined(data: mmap.mmap | bytes, head: bytes) -> bool:
    """Whether another picture follows the first one; not so the second one in a phone's JPEG (MPF)."""
    if head.startswith(b"\x89PNG"):
        return data.find(b"IEND\xaeB`\x82\x89PNG") >= 0
    if head.startswith(b"\xff\xd8"):
        pixels = _scan(data)  # thumbnails lie before
        return data.find(b"\xff\xd9\xff\xd8\xff", pixels) >= 0 and data.find(b"MPF\0", 0, pixels) < 0
    if head.startswith(b"qoif"):
        return data.find(b"\0\0\0\0\0\0\0\1qoif") >= 0
    if head[:2] in (b"P1", b"P2", b"P3"):  # as text
        return re.search(rb"\s" + head[:2] + rb"\s", data) is not None
    if head.startswith(b"RIFF"):
        end = 8 + int.from_bytes(head[4:8], "little") // 2 * 2
    elif head.startswith(b"BM"):
        end = int.from_bytes(head[2:6], "little")
    elif match := re.match(_BITS if head[:2] == b"P4" else _VALUES, data[:256]):
        width, height, most = (int(value) for value in (*match.groups(), 1)[:3])
        wide = -(-width // 8) if head[:2] == b"P4" else width * (3 if head[:2] == b"P6" else 1)
        end = match.end() + wide * height * (2 if most > 255 else 1)
    else:
        return False
    return data[end : end + 2] == head[:2]


def _is_still(data: mmap.mmap | bytes) -> bool:
    """Whether a GIF holds one picture and is whole (GIF89a specification, sections 18 to 27)."""

    def blocks_end(place: int) -> int:
        while data[place : place + 1] not in (b"", b"\0"):
            place += 1 + data[place]
        return place + 1

    def table(place: int) -> int:
        flags = int.from_bytes(data[place : place + 1])
        return 3 << (1 + (flags & 7)) if flags & 0x80 else 0

    place, pictures = 13 + table(10), 0
    while (kind := data[place : place + 1]) in (b"!", b","):
        pictures += kind == b","
        if pictures > 1:
            return False
        place = blocks_end(place + 2 if kind == b"!" else place + 11 + table(place + 9))
    return kind == b";" and pictures == 1


def _scan(data: mmap.mmap | bytes) -> int:
    """Where the pixels of a JPEG begin (ITU-T T.81, B.1.1.4: segments state their length)."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != b"\xda":
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place


def read_pictures(source: Source) -> Iterator[tuple[np.ndarray, Fraction]]:
    """The frames of a picture file, uint8 RGB [h, w, 3], each with the time it starts at in seconds.

    A still picture has one. The camera's orientation (EXIF) is applied, 16 bits a channel are rounded to 8,
    floats are grey from 0 to 1 (to 255 where any is larger), and transparent parts are laid over white.

    Raises:
        SweettokError: the file is damaged or too large.
    """
    with _opened(source) as image:
        time = Fraction(0)
        for index in _shown(image):
            image.seek(index)
            yield _rgb(image), time
            shown = Fraction(image.info.get("duration") or _DEFAULT_MILLISECONDS).limit_denominator(1000)
            time += shown / 1000


def count_pictures(source: Source) -> int:
    """How many frames a picture file holds; only its header is read.

    Raises:
        SweettokError: the file is damaged or too large.
    """
    with _opened(source) as image:
        return len(_shown(image))


def stored_picture(path: File) -> Stored:
    """How the pictures of a file are stored.

    Raises:
        SweettokError: the file is damaged or too large.
    """
    with _opened(path) as image:
        rotation, mirrored = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1), (0, False))
        alpha = image.has_transparency_data and (len(_shown(image)) > 1 or _see_through(image))
        pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        unread = f"of its {pages} pages the first is taken" if pages > 1 else None
        return Stored(
            image.format, image.mode, rotation=rotation, mirrored=mirrored, alpha=alpha, unread=unread
        )


def _see_through(image: Image.Image) -> bool:
    """Whether any pixel of a picture that has a way to say so is transparent."""
    return image.mode.startswith("I") or bool((np.asarray(image.convert("RGBA"))[..., 3] < 255).any())


def scaled(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 RGB [h, w, 3], at another (width, height)."""
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _shown(image: Image.Image) -> range:
    """The numbers of the frames that are shown."""
    # The pages of a TIFF and the second picture of a phone's JPEG are no animation.
    count = getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP", "AVIF") else 1
    hidden = count > 1 and bool(image.info.get("default_image"))  # for programs that know no animation
    return range(int(hidden), count)


class _Held(BufferedReader):
    """A file that takes no memory for bytes it has not: parts of pictures state lengths of gigabytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes, or all that are left."""
        return super().read(size if size is None else min(size, os.fstat(self.fileno()).st_size))


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    path = source_name(source)
    try:
        _register(source)
        if (most := max_pixels()) != MAX_PIXELS:  # the user has set another limit than Pillow's
            Image.MAX_IMAGE_PIXELS = most
        with ExitStack() as closing:
            if isinstance(source, File):
                held = _Held(FileIO(source)) if isinstance(source, Path) else source.open("rb")
                stream = closing.enter_context(held)
            else:
                stream = source
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = closing.enter_context(Image.open(stream))
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SweettokError(
            f"{path} is too large a picture to be read safely; scale it down first."
        ) from error
    except _DAMAGE as error:
        # Pillow would name the file once more.
        why = "of no known kind" if isinstance(error, UnidentifiedImageError) else reason(error)
        raise SweettokError(f"{path} is a damaged picture ({why}); save or fetch it again.") from error


def _register(source: Source) -> None:
    """Teach Pillow to read HEIC, where this is one."""
    head = _head(source)
    if head[4:8] != b"ftyp" or head[8:12] not in _HEIF:
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise SweettokError(
            f"{source_name(source)} is an HEIC picture, which needs pillow-heif; pip install pillow-heif, or "
            "save it as PNG or JPEG."
        ) from error
    pillow_heif.register_heif_opener()


def _rgb(image: Image.Image) -> np.ndarray:
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F":
        values = np.asarray(upright)
        return np.repeat(_eight_bits(values * 255 if values.max() <= 1 else values), 3, axis=2)
    if upright.mode.startswith("I"):
        deep = np.asarray(upright)
        grey = _eight_bits(deep.astype(np.float32) / 257)
        grey[deep == upright.info.get("transparency", -1)] = 255
        return np.repeat(grey, 3, axis=2)
    if upright.has_transparency_data:
        return on_white(upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    """Grey from 0 to 255, [h, w] -> uint8 [h, w, 1]."""
    return np.rint(np.nan_to_num(grey)).clip(0, 255).astype(np.uint8)[..., None]


def write_image(path: Path | str, rgb: np.ndarray, *, force: bool = False) -> None:
    """Write uint8 RGB [h, w, 3] as :func:`save_picture` does; the file is there whole or not at all.

    Raises:
        SweettokError: an unknown ending, the file exists and ``force`` is not given, or it cannot be written.
    """
    path = Path(path)
    check_ending(path, sorted(WRITTEN))
    with atomic_output(path, force) as temporary:
        save_picture(temporary, rgb)


def save_picture(path: Path, rgb: np.ndarray) -> None:
    """Save uint8 RGB [h, w, 3]: PNG, WebP (both exact), JPEG, AVIF (quality 95), BMP or TIFF by the ending.

    Raises:
        SweettokError: Pillow was built without AVIF.
        OSError: it cannot be written.
    """
    ending = path.suffix.lower()
    if ending == ".avif" and not features.check("avif"):
        raise SweettokError(f"{path} cannot be written: Pillow was built without AVIF here; name it .png.")
    encoded = io.BytesIO()  # to files, Pillow's JPEG writer counts a part of the bytes as all of them
    Image.fromarray(rgb).save(encoded, Image.registered_extensions()[ending], **_OPTIONS.get(ending, {}))
    path.write_bytes(encoded.getbuffer())
