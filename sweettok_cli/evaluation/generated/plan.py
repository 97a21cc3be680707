"""Which generated videos are measured against which real ones, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from sweettok_cli.data.datasets import DATA_SETS, DataSet, Item, open_dataset
from sweettok_cli.data.frames import open_source
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.generated.protocol import GenerationProtocol, Side, find_generation_protocol
from sweettok_cli.evaluation.journal import digest
from sweettok_cli.metrics.network_files import SearchPath
from sweettok_cli.metrics.set_distance import TITLES, ChosenDistances, choose_distances
from sweettok_cli.runtime import __version__, pick_device, versions
from sweettok_cli.video.sequence import find_sequences


@dataclass(frozen=True)
class Candidate:
    """A sample, if the video is long enough."""

    item: Item
    start: int | None = None  # number of its first frame, where that is known before the video is read
    frames: int | None = None  # that the video has, likewise


@dataclass(frozen=True)
class Plan:
    """What is measured against what, and how."""

    protocol: GenerationProtocol
    sides: dict[Side, DataSet]
    candidates: dict[Side, list[Candidate]]  # in the order in which they are taken, until there are enough
    samples: int  # of either side, at most
    chosen: ChosenDistances

    def key(self) -> str:
        """SHA-256 of everything that the measurement of one sample depends on."""
        return digest(
            {
                "versions": {"sweettok": __version__} | versions(),
                "protocol": self.protocol.to_json(),
                "distances": [[each.definition, each.extractor.hashes] for each in self.chosen.distances],
                "data": [str(data.root.resolve()) for data in self.sides.values()],
            }
        )


def make_plan(
    generated: str,
    against: str,
    *,
    data: Path | None = None,
    split: str | None = None,
    frames: bool = False,
    rate: Fraction | None = None,
    protocol: str = "default",
    metrics: Sequence[str] | None = None,
    limit: int | None = None,
    features: Path | None = None,
    keep_going: bool = False,
    strict: bool = False,
    device: str = "auto",
    announce: Callable[[str], None] | None = None,
) -> Plan:
    """Find both folders and the protocol, then load the networks.

    Arguments are those of ``sweettok eval --generated DIR --against DIR``; ``announce`` is told what takes a
    while.

    Raises:
        SweettokError: one of the names is unknown, something is not there, or no network is to be had.
    """
    rules = find_generation_protocol(protocol)
    sides: dict[Side, DataSet] = {
        # A folder may be called as a data set is.
        "generated": open_dataset(
            f"./{generated}" if generated.lower() in DATA_SETS else generated,
            frames=_pictures(generated, frames),
            rate=rate,
        ),
        "real": open_dataset(
            against,
            data,
            split or rules.splits.get(against.lower()),
            frames=_pictures(against, frames),
            rate=rate,
        ),
    }
    if features is not None and not features.is_dir():
        raise SweettokError(f"{features} is not a folder; give one with the weights that metrics need.")
    chosen = choose_distances(
        rules.metrics if metrics is None else metrics,
        search=SearchPath(features, announce=announce),
        device=pick_device(device),
        rule=rules.frechet,
    )
    if not chosen.distances:
        reasons = chosen.not_measured.items()
        raise SweettokError(" ".join(f"{TITLES[name]} cannot be measured: {why}" for name, why in reasons))
    if announce is not None and rules.real_choice == "windows":
        announce(f"Listing the runs of {rules.frames} frames of {len(sides['real'].items):,} videos.")
    candidates: dict[Side, list[Candidate]] = {}
    for side, found in sides.items():
        items = [replace(item, keep_going=keep_going, strict=strict) for item in found.items]
        listed = [each for item in items for each in _candidates(item, rules, side)]
        candidates[side] = [listed[place] for place in rules.order(side, len(listed))]
    return Plan(rules, sides, candidates, min(rules.samples, limit or rules.samples), chosen)


def _pictures(folder: str, wanted: bool) -> bool:
    """Whether what is given is folders of numbered pictures; the other side may be of video files."""
    return wanted and Path(folder).is_dir() and bool(find_sequences(Path(folder)))


def _candidates(item: Item, rules: GenerationProtocol, side: Side) -> Iterator[Candidate]:
    if rules.choice(side) != "windows":
        yield Candidate(item)
        return
    try:
        source = open_source(item)
        total = source.count() if source.info.frames is None else source.info.frames
    except SweettokError:  # it is said when the item's turn comes
        yield Candidate(item)
        return
    if total < rules.frames:
        yield Candidate(item, None, total)
    for start in range(0, total - rules.frames + 1, rules.frames):
        yield Candidate(item, start, total)
