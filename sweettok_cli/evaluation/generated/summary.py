"""The record of a run, made from what was measured of its samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import files_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.generated.plan import Plan
from sweettok_cli.evaluation.generated.protocol import Side
from sweettok_cli.evaluation.generated.record import GenerationFacts, GenerationRecord, SideFacts
from sweettok_cli.evaluation.generated.run import Measured, SampleJournal
from sweettok_cli.evaluation.published import published_generation
from sweettok_cli.evaluation.record import Failure, Figure
from sweettok_cli.files import sha256_file
from sweettok_cli.metrics.bootstrap import CONFIDENCE
from sweettok_cli.metrics.jackknife import GROUPS
from sweettok_cli.metrics.metric import NotMeasured
from sweettok_cli.runtime import made_by


def make_record(plan: Plan, found: Measured, journal: SampleJournal, command: str) -> GenerationRecord:
    """Everything about a run; the journal, which holds the features, is still open.

    Raises:
        SweettokError: a side has no sample.
    """
    _check(plan, found)
    generated, real = found.sides["generated"], found.sides["real"]
    figures: dict[str, Figure] = {}
    not_measured = dict(plan.chosen.not_measured)
    for distance in plan.chosen.distances:
        sides = (side.features(journal, distance.name) for side in (generated, real))
        try:
            score = distance.between(*sides)
        except NotMeasured as reason:
            not_measured[distance.name] = str(reason)
            continue
        figures[distance.name] = Figure(
            score.value, score.low, score.high, score.clips, distance.definition, "", "lower"
        )
    reals = plan.sides["real"]
    return GenerationRecord(
        **made_by(command),
        protocol=GenerationFacts(
            **vars(plan.protocol),
            interval=f"{CONFIDENCE:.0%} by a jackknife over {GROUPS} groups of samples; of which samples "
            "they are, not of how few",
            differs_from_paper=tuple(_differences(plan)),
        ),
        generated=_side(plan, found, "generated"),
        real=_side(plan, found, "real"),
        figures=figures,
        networks={each.name: each.extractor.hashes for each in plan.chosen.distances},
        not_measured=not_measured,
        warnings=tuple(_warnings(plan, found)),
        published=published_generation(reals.name if reals.known else ""),
        failed=tuple(Failure(name, error) for name, error in found.failed),
    )


def _check(plan: Plan, found: Measured) -> None:
    """Raise :class:`SweettokError` where a side has no sample."""
    for side, measured in found.sides.items():
        if measured.samples:
            continue
        data, least = plan.sides[side], plan.protocol.frames
        if measured.failed and not measured.short:
            raise SweettokError(f"None of the videos of {data.root} can be read: {measured.failed[0][1]}")
        raise SweettokError(
            f"No video of {data.root} has the {least} frames that the protocol {plan.protocol.name} "
            "measures; give longer videos, or another --protocol."
        )


def _side(plan: Plan, found: Measured, side: Side) -> SideFacts:
    data, measured = plan.sides[side], found.sides[side]
    return SideFacts(
        name=data.name,
        split=data.split,
        items=len(data.items),
        too_short=len(measured.short),
        sizes=dict(Counter(f"{each.width}x{each.height}" for each in measured.samples).most_common()),
        rates=dict(Counter(each.rate for each in measured.samples).most_common()),
        samples=tuple(measured.samples),
    )


def _differences(plan: Plan) -> Iterator[str]:
    rules, data = plan.protocol, plan.sides["real"]
    yield from data.notes
    if not data.known or data.name not in rules.data_sets:
        yield f"The real videos are {data.name}; the paper reports on {rules.data}."
    elif rules.splits and data.split != rules.splits.get(data.name):
        yield f"The split is {data.split}; the paper reports on {rules.data}."
    if plan.samples < rules.samples:
        yield f"At most {plan.samples:,} samples a side were asked for; the paper takes {rules.samples:,}."
    yield from rules.differs


def _warnings(plan: Plan, found: Measured) -> Iterator[str]:
    """What makes the figures less, or other, than those of papers."""
    rules, side = plan.protocol, plan.protocol.fit.side
    generated, real = found.sides["generated"], found.sides["real"]
    for distance in plan.chosen.distances:
        yield from distance.warnings(len(generated.samples), len(real.samples), rules.samples)
    for name, measured in found.sides.items():
        if measured.short:
            yield (
                f"{len(measured.short)} of the {name} videos have fewer than {rules.frames} frames and were "
                f"left out: {_listed(measured.short)}."
            )
        small = [each for each in measured.samples if min(each.width, each.height) < side]
        if small:
            yield (
                f"{len(small)} of the {name} samples are smaller than the {side}x{side} pixels of the "
                f"protocol and were scaled up: {_listed(f'{e.name} ({e.width}x{e.height})' for e in small)}."
            )
    large = [each for each in generated.samples if (each.width, each.height) != (side, side)]
    large = [each for each in large if min(each.width, each.height) >= side]
    if large:
        yield (
            f"{len(large)} of the generated samples are not of the {side}x{side} pixels of the protocol and "
            f"were scaled down: {_listed(f'{each.name} ({each.width}x{each.height})' for each in large)}."
        )
    longer = [each.name for each in generated.samples if each.frames > rules.frames]
    if longer:
        yield (
            f"{len(longer)} of the generated videos have more than {rules.frames} frames, of which the "
            f"{rules.generated_choice} {rules.frames} were measured: {_listed(longer)}."
        )
    usual = {
        name: Counter(each.rate for each in measured.samples).most_common(1)[0][0]
        for name, measured in found.sides.items()
    }
    if usual["generated"] != usual["real"]:
        ours, theirs = (f"{float(Fraction(usual[name])):g}" for name in ("generated", "real"))
        yield (
            f"Generated videos have {ours} frames a second and real ones {theirs}; consecutive frames are "
            "compared, whatever their rate."
        )
    if same := _in_both(generated.items, plan.sides["real"].items):
        yield (
            f"{len(same)} of the generated videos are also among the real ones: {_listed(same)}; the figures "
            "are too good."
        )


def _listed(names: Iterable[str], most: int = 3) -> str:
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _in_both(items: list[Item], others: list[Item]) -> list[str]:
    """Names of items whose content is that of one of the others; only files of one length are read."""
    by_length: dict[tuple[int, ...], list[Item]] = defaultdict(list)
    for other in others:
        by_length[_lengths(other)].append(other)
    content: dict[Path, tuple[str, ...]] = {}
    found = []
    for item in items:
        alike = by_length.get(_lengths(item), [])
        for each in (item, *alike) if alike else ():
            if each.path not in content:
                content[each.path] = tuple(map(sha256_file, files_of(each)))
        if any(content[other.path] == content[item.path] for other in alike):
            found.append(item.name)
    return found


def _lengths(item: Item) -> tuple[int, ...]:
    return tuple(file.stat().st_size for file in files_of(item) if file.is_file())
