"""Files of ``torch.save``: checked byte for byte, then loaded as plain data; errors in words of ours."""

from __future__ import annotations

import errno
import io
import mmap
import os
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeGuard

import torch

from sweettok_cli.storage.pickle_bounds import check_pickle

_REFUSED_BY_TORCH = re.compile(r"(?:GLOBAL|unrecognized function) (\S{1,200})")
#: The first thing in files of torch.save before they were zip archives, and the pickles in such a file.
TORCH_MAGIC, _PICKLES = 0x1950A86A20F9469CFC6C, 5
_ARCHIVE, _PICKLE = b"PK\x03\x04", b"\x80"
_BLOCK = 1 << 20
_FORMATS = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}
#: What libraries make of damage.
DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, ImportError),
    *(MemoryError, OverflowError, RecursionError, RuntimeError, AssertionError, zipfile.BadZipFile),
    *(zlib.error, ZeroDivisionError),
)


class RefusedError(pickle.UnpicklingError):
    """A pickle asks for something that is no plain data; ``name`` is what it asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def load_torch(
    source: Path | io.BytesIO,
    allowed: Sequence[type] = (),
    device: torch.device | str = "cpu",
    mapped: bool = False,
) -> Any:
    """What a file of ``torch.save`` holds; nothing in it is run.

    Args:
        source: the file.
        allowed: classes beside those of torch.
        device: where to put tensors.
        mapped: map the tensors instead of reading them, where the format allows it.

    Raises:
        RefusedError: it asks for anything but plain data.
        pickle.UnpicklingError: it is none, or damaged; the message is a few words of ours.
        OSError: it cannot be read.
    """
    with open(source, "rb") if isinstance(source, Path) else source as stream:
        archive = starts_as(stream) == "archive"
        if archive:
            _check_archive(stream)
        else:
            with mapped_bytes(stream) as data:
                place = 0
                for _ in range(_PICKLES):
                    place = check_pickle(data, place)
        stream.seek(0)
        try:
            with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = source if isinstance(source, Path) else stream
                return torch.load(given, map_location=device, weights_only=True, mmap=archive and mapped)
        except pickle.UnpicklingError as error:
            refused = _REFUSED_BY_TORCH.search(str(error))
            if refused is not None:
                raise RefusedError(refused[1].rstrip(".")) from error
            raise pickle.UnpicklingError("it is not what torch.save writes") from error
        except DAMAGE as error:
            raise pickle.UnpicklingError("it is not what torch.save writes") from error


def is_plain(value: object) -> TypeGuard[torch.Tensor]:
    """Whether a value is a tensor of real numbers, and not sparse, nested or without content."""
    if not isinstance(value, torch.Tensor) or value.dtype not in _FORMATS:
        return False
    return value.layout == torch.strided and not (value.is_meta or value.is_nested)


def starts_as(stream: IO[bytes]) -> str:
    """What a file's first bytes are of: an ``archive``, as torch.save writes them, a ``pickle``, or empty."""
    start = stream.read(4)
    stream.seek(0)
    return "archive" if start == _ARCHIVE else "pickle" if start[:1] == _PICKLE else ""


@contextmanager
def mapped_bytes(stream: IO[bytes]) -> Iterator[bytes | mmap.mmap]:
    """All bytes of a file, mapped; or of a stream in memory."""
    if isinstance(stream, io.BytesIO):
        yield stream.getvalue()
        return
    if not os.fstat(stream.fileno()).st_size:
        raise pickle.UnpicklingError("it is empty")
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _check_archive(stream: IO[bytes]) -> None:
    """Hold every record against its CRC, which torch does not, and bound the pickle among them."""
    try:
        with zipfile.ZipFile(stream) as archive:
            records = archive.infolist()
            if len({record.filename for record in records}) < len(records):
                raise pickle.UnpicklingError("it holds a record twice")
            if any(record.compress_type != zipfile.ZIP_STORED for record in records):
                raise pickle.UnpicklingError("its records are compressed, which torch.save never does")
            length = stream.seek(0, io.SEEK_END)
            if any(
                record.file_size != record.compress_size or record.file_size > length for record in records
            ):
                raise pickle.UnpicklingError("it is no whole archive")
            # torch.save can be told to leave the CRCs out; it then states 0 for all.
            if any(record.CRC for record in records):
                for record in records:
                    with archive.open(record) as content:  # raises BadZipFile at the end of what is damaged
                        while content.read(_BLOCK):
                            pass
            for record in records:
                if record.filename.endswith("/data.pkl"):
                    check_pickle(_stored(stream, record))
    except zipfile.BadZipFile as error:
        raise pickle.UnpicklingError("it is damaged: a part of it is not what it was when written") from error
    except (NotImplementedError, ValueError, LookupError, RuntimeError, EOFError, struct.error) as error:
        raise pickle.UnpicklingError("it is no whole archive") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a place before the file's beginning is stated
            raise pickle.UnpicklingError("it is no whole archive") from error
        raise


def _stored(stream: IO[bytes], record: zipfile.ZipInfo) -> bytes:
    """A record's bytes, also where no CRC is stated, without which :mod:`zipfile` reads none."""
    stream.seek(record.header_offset + 26)
    name, extra = struct.unpack("<HH", stream.read(4))
    stream.seek(name + extra, io.SEEK_CUR)
    return stream.read(record.file_size)
