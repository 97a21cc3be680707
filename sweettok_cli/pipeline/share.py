"""Which sources are this process's, of several that share a data set without a word to each other."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import WrongUsage, brief, option

#: What manifests are called, but for their parts and endings.
NAME = "manifest"
_MOST = 1_000_000


@dataclass(frozen=True)
class Share:
    """Part ``number`` (from 1) of ``count``.

    A source belongs to the part that the name of its output tells, below the outputs' folder. So parts are
    disjoint, and together all, whatever files come and go while they are at work; their sizes differ by
    chance, as the square root of the number of sources in one.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MOST:
            raise WrongUsage(
                f"{self} is no part: there are 1 to {_MOST} of them; give for example 2/8, the second of 8."
            )
        if not 1 <= self.number <= self.count:
            raise WrongUsage(
                f"{self} is no part; the first is 1/{self.count}, the last {self.count}/{self.count}."
            )

    @classmethod
    def read(cls, text: str) -> Share:
        """What ``2/8`` says.

        Raises:
            WrongUsage: it says nothing of the kind.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip(), re.ASCII)
        if found is None:
            raise WrongUsage(
                f"{option('shard', text)} is no part; give for example 2/8, the second of eight."
            )
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def told(cls, environment: Mapping[str, str] = os.environ) -> Share:
        """The part of this process among those that ``torchrun`` has started; all, where it has not.

        Raises:
            WrongUsage: the environment says what is no part.
        """
        rank, world = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
        if not (rank and world):
            return cls()
        if not (re.fullmatch("[0-9]{1,9}", rank) and re.fullmatch("[0-9]{1,9}", world)):
            raise WrongUsage(
                f"RANK is {brief(rank)} and WORLD_SIZE {brief(world)} in the environment, which is no part; "
                f"unset them, or give {option('shard', '1/1')}."
            )
        return cls(int(rank) + 1, int(world))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def owns(self, name: Path) -> bool:
        """Whether a source is this part's; ``name`` is that of its output, below the outputs' folder."""
        if self.count == 1:
            return True
        digest = hashlib.sha256(os.fsencode(name.as_posix())).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def manifest_in(self, folder: Path) -> Path:
        """Where the lines of this part's manifest are written."""
        part = f"-{self.number}-of-{self.count}" if self.count > 1 else ""
        return folder / f"{NAME}{part}.jsonl"
