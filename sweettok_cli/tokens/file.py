"""The token file: a NumPy ``.npz`` of index arrays and one JSON string, ``meta``.

Anybody can read one: ``numpy.load(path, allow_pickle=False)``. The program's own reader believes nothing it
has not checked: never more of a member is unpacked than ``meta`` promises, and that is bounded; what
nobody asked for is checked piece by piece and not held.
Deflate packs an index of log2(n) true bits into somewhat more: `sweettok info` states both figures.
"""

from __future__ import annotations

import errno
import io
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.fault import ENCODE_AGAIN, TokenFault
from sweettok_cli.tokens.limits import MAX_META_CHARS
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import COUNTED, Spread
from sweettok_cli.video.source import missing

#: Bytes a ``.npy`` header may take; NumPy writes 128.
_HEADER_BYTES = 1024
_PIECE_BYTES = 1 << 20
_PIECE_COUNTS = 1 << 16  # of which sums are made, in eight times the memory
#: What the standard library and NumPy raise over damaged archives.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def write_tokens(path: Path | str, tokens: Tokens, force: bool = False) -> None:
    """Write ``tokens`` as one ``.npz``: whole or not at all, and byte for byte the same for the same tokens.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written, or the tokens are not valid.
    """
    path = Path(path)
    try:
        tokens.check()
        meta = np.array(tokens.meta.to_json())
        if meta.itemsize > 4 * MAX_META_CHARS:
            raise TokenFault("needs more time stamps than a token file holds", "encode the source in parts")
    except TokenFault as fault:
        raise SweettokError(f"{path} cannot be written: it {fault.problem}; {fault.remedy}.") from fault
    # Packed in memory, because zipfile cannot close an archive cleanly on a full disk.
    packed = io.BytesIO()
    arrays: dict[str, Any] = {"meta": meta}
    for name in sorted(tokens.arrays):
        given = tokens.arrays[name]
        arrays[name] = np.ascontiguousarray(given) if name in COUNTED else given
    np.savez_compressed(packed, **arrays)
    with atomic_output(path, force) as temporary:
        temporary.write_bytes(packed.getbuffer())


def read_tokens(path: Path | str) -> Tokens:
    """Read and check a token file.

    Raises:
        SweettokError: it is missing, no token file, damaged, or its arrays do not bear out its description.
    """
    arrays: dict[str, np.ndarray] = {}
    return Tokens(arrays, _read(Path(path), arrays))


def read_meta(path: Path) -> TokenMeta:
    """The description in a token file that is checked as by :func:`read_tokens`, in little memory.

    Raises:
        SweettokError: as :func:`read_tokens`.
    """
    return _read(path, None)


def read_spread(path: Path) -> tuple[TokenMeta, dict[str, Spread]]:
    """As :func:`read_meta`, and how the tokens of each array with levels are spread; none where none has.

    Raises:
        SweettokError: as :func:`read_tokens`.
    """
    spreads: dict[str, Spread] = {}
    return _read(path, None, spreads), spreads


def _read(
    path: Path, arrays: dict[str, np.ndarray] | None, spreads: dict[str, Spread] | None = None
) -> TokenMeta:
    """Check a token file; put its arrays into ``arrays`` and what is counted into ``spreads``, if given."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SweettokError(f"{path} is not a regular file; give one that `sweettok encode` wrote.")
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            meta = _read_meta(archive, members["meta"])
            if set(members) != {"meta", *meta.arrays}:
                raise TokenFault(f"holds the arrays {sorted(members)}, not {sorted({'meta', *meta.arrays})}")
            for name in meta.arrays:
                counted = COUNTED.get(name)
                spread = Spread(meta.positions(counted), meta.levels[counted]) if counted else None
                array = _read_array(archive, members[name], meta, name, arrays is not None, spread)
                if arrays is not None and array is not None:
                    arrays[name] = array
                if spread is not None and spreads is not None and counted is not None:
                    spreads[counted] = spread
    except TokenFault as fault:
        raise SweettokError(f"{path} {fault.problem}; {fault.remedy}.") from fault
    except OSError as error:
        damaged = error.errno in (None, errno.EINVAL)  # a place before the file's beginning is stated
        raise SweettokError(_no_archive(path) if damaged else _no_access(path, error)) from error
    except _DAMAGE as error:
        raise SweettokError(_no_archive(path)) from error
    return meta


def looks_like_tokens(path: Path) -> bool:
    """Whether ``path`` is named like a token file or starts like one; a cheap test, no promise."""
    if path.suffix.lower() == ".npz":
        return True
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name not in {"meta", *ARRAYS, *COUNTED} or name in found:
            raise TokenFault(f"holds an unexpected member {info.filename[:40]!r}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TokenFault(f"packs {name!r} in a way that NumPy does not")
        found[name] = info
    if "meta" not in found:
        raise TokenFault("has no description ('meta')", "give a file that `sweettok encode` wrote")
    return found


def _read_meta(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> TokenMeta:
    if info.file_size > 4 * MAX_META_CHARS + _HEADER_BYTES:
        raise TokenFault("has a description that is too long")
    with archive.open(info) as stream:
        shape, _, dtype = _read_header(stream)
        if shape != () or dtype.kind != "U":
            raise TokenFault("has a description that is not one string")
        size = info.file_size - stream.tell()
        text = _read_exactly(stream, size).decode("utf-32-be" if dtype.byteorder == ">" else "utf-32-le")
        if stream.read(1):
            raise _cut_short()
    return TokenMeta.from_json(text.rstrip("\0"))


def _read_array(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    meta: TokenMeta,
    name: str,
    keep: bool,
    spread: Spread | None,
) -> np.ndarray | None:
    """One checked array; None where it shall not be kept. ``spread`` takes what is counted in it."""
    with archive.open(info) as stream:
        shape, column_order, dtype = _read_header(stream)
        if shape != meta.array_shape(name) or dtype != meta.dtype(name):
            expected = f"{meta.dtype(name)} {list(meta.array_shape(name))}"
            raise TokenFault(f"holds {name!r} as {dtype} {_listed(shape)}, not {expected}")
        if spread is not None and column_order:
            raise TokenFault(f"holds {name!r} in column order", "save its counts clip by clip")
        # In order of columns, all indices of a column lie together; else those of a token do.
        count, columns = math.prod(shape), meta.columns(name)
        runs = [slice(n, n + 1) for n in range(columns)] if column_order else [slice(0, columns)]
        whole = np.empty(count, dtype) if keep else None
        done = 0
        for run in runs:
            end = done + count // len(runs)
            while done < end:
                most = _PIECE_BYTES // dtype.itemsize if spread is None else _PIECE_COUNTS
                size = min(end - done, most // columns * columns)
                piece = np.frombuffer(_read_exactly(stream, size * dtype.itemsize), dtype)
                meta.check_values(name, piece.reshape(-1, run.stop - run.start), run)
                if spread is not None:
                    spread.add(piece)
                if whole is not None:
                    whole[done : done + size] = piece
                done += size
        if stream.read(1):  # at the end of the member, where the archive's checksum is verified
            raise _cut_short()
    if spread is not None:
        meta.check_rows(name, spread.rows)
    return None if whole is None else whole.reshape(shape, order="F" if column_order else "C")


def _listed(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(str(length)[:20] for length in shape[:8])}{', ...' * (len(shape) > 8)}]"


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(stream) != (1, 0):
        raise TokenFault("holds an array in a version of .npy that it should not need")
    return np.lib.format.read_array_header_1_0(stream, max_header_size=_HEADER_BYTES)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _cut_short()
    return data


def _cut_short() -> TokenFault:
    return TokenFault("is cut short or holds more than it says", f"copy it again or {ENCODE_AGAIN}")


def _no_access(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return missing(path)
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder; give one token file (.npz)."
    return f"{path} cannot be read ({error.strerror or error}); check its permissions and the disk."


def _no_archive(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            start = stream.read(4)
        if path.stat().st_size == 0:
            return f"{path} is empty; {ENCODE_AGAIN}."
    except OSError as error:
        return _no_access(path, error)
    if start == b"PK\x03\x04":
        return f"{path} is a damaged or cut-short token file; copy it again or {ENCODE_AGAIN}."
    return f"{path} is not a token file (.npz); give one that `sweettok encode` wrote."
