"""The record of a run of recognition: what ``--json`` prints, and what table and page are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweettok_cli.metrics.bootstrap import Interval


@dataclass(frozen=True)
class MethodScore:
    """One method over all episodes of one number of shots."""

    name: str
    accuracy: Interval  # its ``clips`` are groups of queries
    confusion: list[list[int]]  # rows are classes of queries, columns answers, in the order of the labels
    seconds: float  # for all answers, without encoding


@dataclass(frozen=True)
class Setting:
    """All episodes with one number of examples a class."""

    shots: int
    labels: list[str]  # classes that may be the answer
    queries: int  # files that were asked about
    groups: int  # that they are of
    episodes: int
    chance: float  # accuracy of an answer that does not depend on the query
    methods: list[MethodScore]


@dataclass(frozen=True)
class AnsweredEpisode:
    """One question; files are numbers in :attr:`Record.clips`."""

    shots: int
    query: int
    examples: Mapping[str, tuple[int, ...]]
    answers: Mapping[str, str]  # class by method


@dataclass(frozen=True)
class ClipFacts:
    """A file that took part."""

    name: str
    label: str
    group: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run."""

    format: str = "sweettok-recognition"
    version: int = 1
    sweettok: str  # version of the program
    command: str
    date: str
    machine: Mapping[str, str]
    data: str  # the folder's name
    model: str
    weights_sha256: str
    protocol: Mapping[str, Any]  # every choice that moves a figure
    differs_from_paper: list[str]
    about: Mapping[str, str]  # what each method does, by name
    settings: list[Setting]
    not_measured: Mapping[str, str]  # reason by number of shots, or by method
    clips: list[ClipFacts]
    episodes: list[AnsweredEpisode]
    failed: list[Mapping[str, str]]  # name and error of files that count in no figure

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
