"""The packed token file (``.swt``): a token file whose indices are entropy-coded, and nothing lost.

All numbers are little-endian::

    8   magic: 89 53 57 54 0D 0A 1A 0A
    2   version: 1
    2   nothing: 0
    4   bytes of the description, deflated
    4   number of chunks
    16  BLAKE2b-128 of the description and of all arrays, as they are when unpacked
    32  SHA-256 of the token prior; 0 for none
    .   the description: the JSON string ``meta`` of a token file, deflated with a preset dictionary
    .   of each chunk: 4 bytes its length, 4 bytes its CRC-32
    4   CRC-32 of all before it
    .   the chunks, one after the other

How many chunks there are, and what each holds, follows from the description
(:mod:`sweettok_cli.packing.chunks`). The reader believes nothing it has not checked. What it takes memory
for, the description promises, and that is bounded as in :mod:`sweettok_cli.tokens.file`.
"""

from __future__ import annotations

import errno
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, open_regular
from sweettok_cli.packing.chunks import ChunkCoder
from sweettok_cli.packing.layers import Rows
from sweettok_cli.packing.prior import TokenPrior
from sweettok_cli.packing.rans import CodeFault
from sweettok_cli.tokens.fault import UPDATE, TokenFault
from sweettok_cli.tokens.layout import token_cost
from sweettok_cli.tokens.limits import MAX_META_CHARS
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.video.source import missing

#: How the names of packed token files end.
PACKED = ".swt"
MAGIC = b"\x89SWT\r\n\x1a\n"
VERSION = 1
PACK_AGAIN = "copy it again, or pack the token file again"

#: Gives the prior that a file was packed with, for its description and the prior's SHA-256.
FindPrior = Callable[[TokenMeta, str], TokenPrior]

_HEADER = struct.Struct("<8sHHII16s32s")
_ENTRY = struct.Struct("<II")
_CRC = struct.Struct("<I")
_DIGEST_BYTES = 16
_MOST_META_BYTES = 4 * MAX_META_CHARS
# What descriptions have in common, the most usual last. They belong to the version.
_USUAL = (
    b'"sample_aspect_ratio": "/", "time_base": "1/", "times": [0, "family": "vidtok-kl", "latents": [4, '
    b'"family": "omnitokenizer", "indices": [8192]}, "shapes": {"indices": [5, 32, 32]}, '
    b'.png", "image": true, .avi", .webm", '
    b'{"format": "sweettok-tokens", "version": 1, "family": "sweettok", "model": "sweettok-small", '
    b'"weights_sha256": "", "codebooks": {"spatial": [5078, 5078, 5403], "temporal": [1872, 1872, 9267]}, '
    b'"shapes": {"spatial": [256, 3], "temporal": [1024, 3]}, "source": ".mp4", "image": false, '
    b'"width": 256, "height": 256, "fit": "repeat-edge", "padded_width": 256, "padded_height": 256, '
    b'"frames": 60, "rate": "30000/1001", "rate": "25/1", "rate": "30/1", "clip_frames": 17, "overlap": 0, '
    b'"writer": "sweettok 0.1.0"}'
)
_USUAL_OF_LEVELS = (
    b'"budget": "640 tokens"}, "budget": "33 dB"}, '
    b'"version": 2, "codebooks": {"spatial": [5078, 5078, 5403], "temporal": [1872, 1872, 9267], '
    b'"detail": [5403]}, "shapes": {"spatial": [256, 3], "temporal": [1024, 3], '
    b'"detail": [5, 32, 32, 1]}, "writer": "sweettok 0.1.0", "levels": {"temporal": 1, "detail": 6}, '
    b'"rows": {"temporal": [1000], "detail": [100, 100, 10, 10]}' + _USUAL
)


def write_packed(
    path: Path | str, tokens: Tokens, prior: TokenPrior | None = None, force: bool = False
) -> None:
    """Write ``tokens`` as one packed file: whole or not at all, and the same bytes for the same tokens.

    Args:
        path: of the file.
        tokens: what :func:`read_packed` gives back.
        prior: of the model that encoded them; without one the file can be unpacked alone.
        force: replace a file that is there.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written, or the tokens are not valid.
    """
    path = Path(path)
    try:
        tokens.check()
        if prior is not None:
            prior.check_fits(tokens.meta)
        text = tokens.meta.to_json()
        if len(text) > MAX_META_CHARS:
            raise TokenFault("needs more time stamps than a token file holds", "encode the source in parts")
        coder = _coder(tokens.meta, prior)
    except TokenFault as fault:
        raise SweettokError(f"{path} cannot be written: it {fault.problem}; {fault.remedy}.") from fault
    rows: Rows = {}
    chunks = [coder.encode(tokens.arrays, number, rows) for number in range(len(coder))]
    description = _deflate(text, _USUAL_OF_LEVELS if tokens.meta.levels else _USUAL)
    digest = bytes(32) if prior is None else bytes.fromhex(prior.sha256)
    header = _HEADER.pack(
        MAGIC, VERSION, 0, len(description), len(chunks), _digest(text, tokens.arrays), digest
    )
    table = [_ENTRY.pack(len(chunk), zlib.crc32(chunk)) for chunk in chunks]
    head = b"".join([header, description, *table])
    with atomic_output(path, force) as temporary, open(temporary, "wb") as stream:
        for part in chain([head, _CRC.pack(zlib.crc32(head))], chunks):
            stream.write(part)


@dataclass(frozen=True)
class PackedCost:
    """What the tokens of a packed file take.

    Attributes:
        file_bytes: of the whole file.
        coded_bits: of its chunks, without the description.
        ratio: true bits of the tokens (:class:`~sweettok_cli.tokens.layout.TokenCost`) over those of the
            whole file.
        prior_sha256: of the token prior that it was packed with; None for none.
    """

    file_bytes: int
    coded_bits: int
    ratio: float
    prior_sha256: str | None


@dataclass(frozen=True)
class PackedFile:
    """A packed file whose head was read and checked.

    Attributes:
        path: of the file.
        meta: its description.
        prior_sha256: of the prior that it was packed with; None for none.
        file_bytes: of the whole file.
    """

    path: Path
    meta: TokenMeta
    prior_sha256: str | None
    file_bytes: int
    _digest: bytes
    _text: str
    _begins: int
    _table: tuple[tuple[int, int], ...]

    @classmethod
    def open(cls, path: Path) -> PackedFile:
        """Read the head of a file.

        Raises:
            SweettokError: it is missing, no packed token file, of another version, cut short or changed.
        """
        with _Faults(path), open_regular(path) as stream:
            return cls._open(path, stream)

    @classmethod
    def _open(cls, path: Path, stream: BufferedReader) -> PackedFile:
        size = path.stat().st_size
        head = stream.read(_HEADER.size)
        if not head.startswith(MAGIC[: len(head)]) or not head:
            what = "is empty" if not head else f"is not a packed token file ({PACKED})"
            raise TokenFault(what, "give one that `sweettok pack` wrote")
        if len(head) < _HEADER.size:
            raise _cut_short()
        _, version, nothing, described, count, digest, prior = _HEADER.unpack(head)
        if version != VERSION or nothing:
            raise TokenFault(f"has version {version}, this program reads {VERSION}", UPDATE)
        if _HEADER.size + described + count * _ENTRY.size + _CRC.size > size:
            raise _cut_short()
        rest = stream.read(described + count * _ENTRY.size)
        if stream.read(_CRC.size) != _CRC.pack(zlib.crc32(rest, zlib.crc32(head))):
            raise TokenFault("has been changed since it was written", PACK_AGAIN)
        text = _inflate(rest[:described])
        meta = _read_meta(text)
        table = tuple(_ENTRY.iter_unpack(rest[described:]))
        coder = ChunkCoder(meta, {})
        if len(table) != len(coder):
            raise TokenFault(
                f"holds {len(table)} chunks where its description asks for {len(coder)}", PACK_AGAIN
            )
        if any(length < coder.fewest_bytes(number) for number, (length, _) in enumerate(table)):
            raise TokenFault("holds fewer bytes than its description asks for", PACK_AGAIN)
        coded, begins = sum(length for length, _ in table), _HEADER.size + len(rest) + _CRC.size
        if begins + coded > size:
            raise _cut_short()
        if begins + coded < size:
            raise TokenFault("goes on after its end", PACK_AGAIN)
        sha256 = prior.hex() if any(prior) else None
        return cls(path, meta, sha256, size, digest, text, begins, table)

    @property
    def cost(self) -> PackedCost:
        """What the tokens take."""
        coded = 8 * sum(length for length, _ in self._table)
        ratio = token_cost(self.meta).bits / (8 * self.file_bytes)
        return PackedCost(self.file_bytes, coded, ratio, self.prior_sha256)

    def check(self) -> None:
        """Check the checksums of all chunks.

        Raises:
            SweettokError: one does not fit.
        """
        with _Faults(self.path):
            for _ in self._chunks():
                pass

    def holds(self, tokens: Tokens) -> bool:
        """Whether these tokens were packed; the prior is not needed to tell.

        Raises:
            SweettokError: as :meth:`check`.
        """
        self.check()
        return _digest(tokens.meta.to_json(), tokens.arrays) == self._digest

    def read(self, find_prior: FindPrior) -> Tokens:
        """All tokens, checked as those of a token file are.

        Raises:
            SweettokError: the file is damaged, or its prior is not to be had.
        """
        with _Faults(self.path):
            prior, meta, rows = None, self.meta, Rows()
            if self.prior_sha256 is not None:
                prior = find_prior(meta, self.prior_sha256)
                prior.check_fits(meta)
            coder = _coder(meta, prior)
            arrays = {name: np.zeros(meta.array_shape(name), meta.dtype(name)) for name in meta.arrays}
            for number, coded in enumerate(self._chunks()):
                coder.decode(coded, arrays, number, rows)
            tokens = Tokens(arrays, meta)
            tokens.check()
            if _digest(self._text, arrays) != self._digest:
                raise TokenFault("does not unpack to what was packed", PACK_AGAIN)
            return tokens

    def _chunks(self) -> Iterator[bytes]:
        with open_regular(self.path) as stream:
            stream.seek(self._begins)
            for number, (length, checksum) in enumerate(self._table, 1):
                coded = stream.read(length)
                if len(coded) < length:
                    raise _cut_short()
                if zlib.crc32(coded) != checksum:
                    what = f"has been changed since it was written, in chunk {number} of {len(self._table)}"
                    raise TokenFault(what, PACK_AGAIN)
                yield coded


def looks_packed(path: Path) -> bool:
    """Whether ``path`` is named like a packed token file or starts like one; a cheap test, no promise."""
    if path.suffix.lower() == PACKED:
        return True
    try:
        with open_regular(path) as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _coder(meta: TokenMeta, prior: TokenPrior | None) -> ChunkCoder:
    return ChunkCoder(meta, {}) if prior is None else ChunkCoder(meta, prior.starts, prior.counts)


class _Faults:
    """Makes a sentence that names the file of whatever is wrong inside the block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        path = self._path
        if isinstance(error, CodeFault):
            error = TokenFault("holds a chunk that was not coded so", PACK_AGAIN)
        if isinstance(error, TokenFault):
            raise SweettokError(f"{path} {error.problem}; {error.remedy}.") from error
        if isinstance(error, FileNotFoundError):
            raise SweettokError(missing(path)) from error
        if isinstance(error, IsADirectoryError) or path.is_dir():
            raise SweettokError(f"{path} is a folder; give one packed token file ({PACKED}).") from error
        if isinstance(error, OSError) and error.errno == errno.EINVAL:
            raise SweettokError(
                f"{path} is not a regular file; give one that `sweettok pack` wrote."
            ) from error
        if isinstance(error, OSError):
            raise SweettokError(
                f"{path} cannot be read ({error.strerror or error}); check its permissions and the disk."
            ) from error


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES)
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.digest()


def _deflate(text: str, usual: bytes) -> bytes:
    packer = zlib.compressobj(9, zdict=usual)
    return packer.compress(text.encode()) + packer.flush()


def _inflate(data: bytes) -> str:
    # Which dictionary it was, such data says itself (RFC 1950, section 2.2).
    of_levels = data[2:6] == zlib.adler32(_USUAL_OF_LEVELS).to_bytes(4, "big")
    unpacker = zlib.decompressobj(zdict=_USUAL_OF_LEVELS if of_levels else _USUAL)
    try:
        text = unpacker.decompress(data, _MOST_META_BYTES + 1)
        if len(text) > _MOST_META_BYTES:
            raise TokenFault("has a description that is too long", PACK_AGAIN)
        if not unpacker.eof or unpacker.unused_data:
            raise TokenFault("has a description that does not end where it should", PACK_AGAIN)
        return text.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise TokenFault("has a description that cannot be read", PACK_AGAIN) from error


def _read_meta(text: str) -> TokenMeta:
    try:
        return TokenMeta.from_json(text)
    except TokenFault:
        raise
    except (LookupError, TypeError, ValueError) as error:  # values that are not even numbers
        raise TokenFault("has a description that cannot be read", PACK_AGAIN) from error


def _cut_short() -> TokenFault:
    return TokenFault("is cut short", PACK_AGAIN)
