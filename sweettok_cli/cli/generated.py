"""``sweettok eval --generated``: how close generated videos come to real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sweettok_cli.cli.columns import fitted
from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, as_text, count, shown

if TYPE_CHECKING:
    from sweettok_cli.evaluation.generated.record import GenerationRecord, SideFacts

#: Options of `sweettok eval` that it takes, by the names of its parameters.
TAKEN = {
    *(
        "generated",
        "against",
        "data",
        "split",
        "frames_of",
        "fps",
        "protocol",
        "metrics",
        "limit",
        "features",
    ),
    *("journal", "fresh", "device", "keep_going", "strict", "as_json", "quiet"),
}


@dataclass(frozen=True)
class Kept:
    """Where what is measured is kept, and whether what was is forgotten."""

    journal: Path | None
    fresh: bool


def check_alone(context: typer.Context, generated: Path | None, against: str | None) -> None:
    """Refuse what belongs to the measurement of a model beside ``--generated`` and ``--against``.

    Raises:
        BadParameter: something of it was typed, or one of the two is missing.
    """
    if generated is None or against is None:
        given, missing = ("--generated", "--against") if against is None else ("--against", "--generated")
        raise typer.BadParameter(f"{given} goes with {missing}; give both folders.")
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if param.name not in TAKEN and source is not None and source.name == "COMMANDLINE":
            what = next((name for name in param.opts if name.startswith("--")), "a target")
            raise typer.BadParameter(f"{what} belongs to measuring a model; leave it out beside --generated.")


def evaluate_generated(
    generated: Path,
    against: str,
    kept: Kept,
    output: Output,
    explain: Callable[[Exception], str],
    **choices: Any,
) -> None:
    """Measure the videos of one folder against those of another; ``choices`` are those of ``make_plan``.

    Raises:
        Exit: a video could not be read, or nothing could be measured.
    """
    from sweettok_cli.evaluation.generated.plan import make_plan
    from sweettok_cli.evaluation.generated.run import SampleJournal, run
    from sweettok_cli.evaluation.generated.summary import make_record
    from sweettok_cli.evaluation.journal import open_journal

    plan = make_plan(str(generated), against, announce=output.say, **choices)
    with open_journal(SampleJournal, kept.journal, plan.key(), kept.fresh, output.warn) as journal:
        before = len(journal)
        if before:
            output.say(
                f"{count(before, 'sample')} were measured before ({journal.folder}); --fresh starts over."
            )

        def words(why: str) -> str:
            said = f"{why}; {count(len(journal), 'sample')} measured"
            if not journal.lasting:
                return f"{said}, and lost: no journal could be written."
            return f"{said} and kept in {journal.folder}. To go on: {command(without='--fresh')}"

        with ended_by(output.say, words):
            measured = run(plan, journal, output.overall("samples").watch, explain)
            record = make_record(plan, measured, journal, command())
            for _, error in measured.failed:
                output.error(error)
            for warning in record.warnings:
                output.warn(warning)
            if kept.journal is None and not measured.failed:
                journal.discard()
    output.result(record.to_json(), None if output.json else text(record))
    if measured.failed or not record.figures:
        raise typer.Exit(FAILED)


def text(record: GenerationRecord) -> str:
    """The figures, and below them what they are of."""
    from sweettok_cli.evaluation.tables import figure, with_interval
    from sweettok_cli.metrics.set_distance import TITLES

    rules, figures = record.protocol, record.figures
    columns = {
        "": [TITLES[name] for name in figures],
        "value": [figure(each.value, 2) for each in figures.values()],
        "95 % interval": [
            with_interval(name, each).partition(" ")[2] or "-" for name, each in figures.items()
        ],
        "generated": [str(len(record.generated.samples)) for _ in figures],
        "real": [str(len(record.real.samples)) for _ in figures],
    }
    lines = [
        f"protocol {rules.name}: {rules.samples:,} samples of {rules.frames} frames of "
        f"{rules.fit.side}x{rules.fit.side} ({rules.fit.words}); frame rate: {rules.frame_rate}; seed "
        f"{rules.seed}",
        f"generated: {_side(record.generated)}, the {rules.generated_choice} frames",
        f"real: {_side(record.real)}, {rules.real_choice} frames, {rules.real_order}",
        f"interval: {rules.interval}",
    ]
    for name, each in figures.items():
        files = ", ".join(f"{file} {sha256[:12]}" for file, sha256 in record.networks[name].items())
        lines.append(f"{TITLES[name]}: {each.definition} Weights: {files}")
    lines += [f"{TITLES[name]} was not measured: {why}" for name, why in record.not_measured.items()]
    lines += [f"differs from the paper: {each}" for each in rules.differs_from_paper]
    lines += [
        f"{each.source} states {TITLES[each.metric]} {each.value:g} of {each.model}"
        for each in record.published
        if each.metric in figures
    ]
    table = fitted(columns, spare=("real", "generated"), right=("value", "generated", "real"))
    return as_text(*([table, ""] if figures else []), *map(shown, lines))


def _side(side: SideFacts) -> str:
    """``12 samples of 20 videos of out; 64x64 (10), 128x128 (2); frames a second 25 (12)``."""
    sizes = ", ".join(f"{size} ({number})" for size, number in side.sizes.items())
    rates = ", ".join(f"{rate} ({number})" for rate, number in side.rates.items())
    part = f", {side.split}" if side.split else ""
    return (
        f"{count(len(side.samples), 'sample')} of {count(side.items, 'video')} of {side.name}{part}; "
        f"{sizes}; frames a second {rates}"
    )
