"""A token file of either kind: plain NumPy arrays (``.npz``) or packed (``.swt``)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sweettok_cli.packing.file import PACKED, FindPrior, PackedFile, looks_packed
from sweettok_cli.tokens.file import looks_like_tokens as looks_plain
from sweettok_cli.tokens.file import read_meta as read_plain_meta
from sweettok_cli.tokens.file import read_spread as read_plain_spread
from sweettok_cli.tokens.file import read_tokens as read_plain
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import Spread

#: How the names of plain token files end.
PLAIN = ".npz"
ENDINGS = (PLAIN, PACKED)


def each_once(files: Iterable[Path]) -> list[Path]:
    """Files of a folder without packed ones beside which the plain one lies, which holds the same tokens."""
    given = list(files)
    plain = {path.with_suffix("") for path in given if path.suffix.lower() == PLAIN}
    return [path for path in given if path.suffix.lower() != PACKED or path.with_suffix("") not in plain]


def read_tokens(path: Path, find_prior: FindPrior) -> Tokens:
    """Read and check a token file of either kind.

    Args:
        path: of the file.
        find_prior: gives the token prior of a packed file that has one.

    Raises:
        SweettokError: it is missing, no token file or damaged, or its prior is not to be had.
    """
    return PackedFile.open(path).read(find_prior) if looks_packed(path) else read_plain(path)


def read_meta(path: Path) -> TokenMeta:
    """The description in a token file, in little memory; of a packed one, the checksums are checked.

    Raises:
        SweettokError: as :func:`read_tokens`, but for the prior.
    """
    if not looks_packed(path):
        return read_plain_meta(path)
    packed = PackedFile.open(path)
    packed.check()
    return packed.meta


def read_spread(path: Path) -> tuple[TokenMeta, dict[str, Spread]]:
    """As :func:`read_meta`, and how the tokens of each array with levels are spread; none where none has.

    Of a packed file, that is what its description tells, without how its clips differ.

    Raises:
        SweettokError: as :func:`read_tokens`, but for the prior.
    """
    if not looks_packed(path):
        return read_plain_spread(path)
    meta = read_meta(path)
    return meta, {
        name: Spread.of_rows(rows, meta.positions(name), meta.clips) for name, rows in meta.rows.items()
    }


def looks_like_tokens(path: Path) -> bool:
    """Whether ``path`` is named like a token file or starts like one; a cheap test, no promise."""
    return looks_packed(path) or looks_plain(path)
