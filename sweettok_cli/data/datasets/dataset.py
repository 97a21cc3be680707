"""What a data set is, once it was found on the disk: a name and a list of things to measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from sweettok_cli.errors import SweettokError


@dataclass(frozen=True)
class Item:
    """One video or picture.

    Attributes:
        name: unique within the data set, the same on every machine.
        path: a file, or a folder of numbered pictures that are the frames of one video.
        label: its class, where the data set has classes.
        rate: frames a second, where the files do not say it.
    """

    name: str
    path: Path
    label: str | None = None
    rate: Fraction | None = None


@dataclass(frozen=True)
class DataSet:
    """Things to measure, in a fixed order.

    Attributes:
        name: as given to ``sweettok eval``, or the folder's own.
        items: at least one.
        split: which part of the data set, where it has parts.
        notes: what a reader must know about these copies, e.g. how many files are missing.
        known: whether it is one of the published data sets, and not any folder.
    """

    name: str
    items: list[Item]
    split: str | None = None
    notes: list[str] = field(default_factory=list)
    known: bool = True


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        title: its name in print.
        splits: parts that can be asked for; the first is the one that is measured by default.
        remedy: where to download it and how to lay it out, to follow a semicolon.
    """

    title: str
    splits: tuple[str, ...]
    remedy: str

    def missing(self, root: Path, what: str) -> SweettokError:
        """The error for a folder that lacks ``what``."""
        return SweettokError(f"{root} does not hold {self.title}: {what}; {self.remedy}.")

    def pick_split(self, split: str | None) -> str:
        """The part asked for, or the default one.

        Raises:
            SweettokError: there is no such part.
        """
        if split is None:
            return self.splits[0]
        if split not in self.splits:
            raise SweettokError(
                f"{self.title} has no split {split!r} here; choose from {', '.join(self.splits)}."
            )
        return split


def first_existing(candidates: Iterable[Path]) -> Path | None:
    """The first path that exists."""
    return next((path for path in candidates if path.exists()), None)


def read_lines(path: Path) -> list[str]:
    """The lines of a list, without blanks.

    Raises:
        SweettokError: it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(f"The list {path} cannot be read ({error}); download it again.") from error
    return [line.strip() for line in lines if line.strip()]


def shortfall(found: int, listed: int, noun: str) -> list[str]:
    """A note where not everything that is listed was found."""
    if found == listed:
        return []
    return [f"{found} of {listed} {noun} are here; figures of the whole set may differ."]
