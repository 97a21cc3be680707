"""``sweettok eval recognition``: how often few-shot recognition is right, beside chance and baselines."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import BadParameter, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.columns import fitted
from sweettok_cli.cli.help import App
from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, as_text, count, debugging, explain, shown
from sweettok_cli.cli.recognise import (
    FramesOption,
    LlmOption,
    ServedOption,
    ShowPromptOption,
    TopOption,
    WordsOption,
    word_choice,
)

if TYPE_CHECKING:
    from sweettok_cli.recognition.record import Record, Setting

recognition_app = App(add_completion=False)
_PAIRS = 5  # of classes that are taken for each other, as listed


@recognition_app.command()
def recognition(
    data: Annotated[
        Path,
        Option(help="One folder a class, of videos or token files.", metavar="DIR", readable=False),
    ],
    shots: Annotated[
        str, Option(help="Numbers of examples a class, each measured on its own.", metavar="K,...")
    ] = "1,3,5",
    llm: LlmOption = None,
    served: ServedOption = None,
    words: WordsOption = "telling",
    top: TopOption = 8,
    show_prompt: ShowPromptOption = False,
    groups: Annotated[
        Path | None,
        Option(
            help="A table with the columns file and group: which clips show one person, place or source.",
            metavar="FILE.csv",
            show_default="by name",
            readable=False,
        ),
    ] = None,
    repeats: Annotated[int, Option(min=1, help="Episodes about each clip, of other examples.")] = 10,
    seed: Annotated[int, Option(min=0, help="Of the draws.")] = 0,
    frames: FramesOption = 17,
    report: Annotated[Path | None, Option(help="Write a page for a browser.", metavar="FILE.html")] = None,
    model: options.WordModelOption = None,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Measure few-shot recognition: accuracy beside chance, beside baselines without a language model.

    In an episode one clip is asked about, and for each class a few examples are drawn of clips that are not
    of its group: clips of one group show the same person, place or source. Groups are told by name
    (v_CLASS_gNN_cNN as in UCF-101; NAME__NNN is of group NAME; any other clip is its own), or by --groups.
    Every clip is asked about --repeats times. Classes that have not enough clips outside of a group are left
    out; a number of shots for which fewer than two are left is not measured, and the reason is told.

    The baselines: the nearest class by token histogram, by word vectors, and by the mean picture, for which
    the videos are needed. Brackets are intervals of 95 % by bootstrap over groups of queries.

    Examples:

        sweettok eval recognition --data UCF-101 --shots 1,2

        sweettok eval recognition --data clips --groups groups.csv --llm Qwen/Qwen2.5-3B --repeats 1

        sweettok eval recognition --data tokens --json > recognition.json

        sweettok eval recognition --data clips --report recognition.html
    """
    options.check_damage(keep_going, strict)
    numbers, choice = _numbers(shots), word_choice(words)
    from sweettok_cli.data.groups import BY_NAME
    from sweettok_cli.files import check_target
    from sweettok_cli.models.common.budget import Budget
    from sweettok_cli.recognition.classes import read_groups
    from sweettok_cli.recognition.counted import WordCounter
    from sweettok_cli.recognition.language_model import open_language_model
    from sweettok_cli.recognition.run import first_prompt, make_plan, run
    from sweettok_cli.recognition.summary import make_record
    from sweettok_cli.runtime import ignore_progress
    from sweettok_cli.words.reader import WordReader

    output = Output(json=as_json, quiet=quiet)
    if report:
        check_target(report, force)
    plan = make_plan(
        data,
        numbers,
        None if groups is None else read_groups(groups),
        repeats=repeats,
        seed=seed,
        frames=frames,
        choice=choice,
        top=top,
        keep_going=keep_going,
        strict=strict,
    )
    reader = WordReader(
        model, lambda _: nullcontext(ignore_progress), keep_going, strict, Budget(fixed=True), frames
    )
    counter = WordCounter(reader)
    if show_prompt:
        prompt = first_prompt(plan, counter)
        output.result({"prompt": prompt}, None if as_json else prompt)
        return
    asking = None if llm is None else open_language_model(llm, served)
    with ended_by(output.say, lambda why: f"{why}; nothing is kept. To start again: {command()}"):
        measured = run(plan, counter, asking, output.overall("clips").watch, _explain)
    record = make_record(
        plan, measured, counter, data, f"from {groups.name}" if groups else BY_NAME, command()
    )
    if counter.mixed:
        output.warn(counter.mixed)
    for _, error in measured.failed:
        output.error(error)
    if report:
        from sweettok_cli.evaluation.report.recognition import write_recognition

        write_recognition(record, report, force)
    output.result(record.to_json(), None if as_json else _text(record))
    if measured.failed:
        raise typer.Exit(FAILED)


def _numbers(shots: str) -> list[int]:
    try:
        found = sorted({int(each) for each in shots.split(",") if each.strip()})
    except ValueError:
        found = []
    if not found or found[0] < 1:
        raise BadParameter("give numbers of examples such as 1,3,5", param_hint="--shots")
    return found


def _explain(error: Exception) -> str:
    if debugging():
        raise error
    return explain(error)


def _text(record: Record) -> str:
    names = list(record.about)
    rows = record.settings
    columns = {
        "shots": [str(each.shots) for each in rows],
        "classes": [str(len(each.labels)) for each in rows],
        "clips": [str(each.queries) for each in rows],
        "episodes": [str(each.episodes) for each in rows],
        "chance": [f"{100 * each.chance:.1f} %" for each in rows],
        **{shown(name): [_accuracy(each, name) for each in rows] for name in names},
    }
    table = fitted(columns, spare=("clips", "episodes", *names[:0:-1]), right=columns.keys())
    lines = [
        f"{record.model} on {record.data}, {count(len(record.clips), 'clip')}; brackets hold 95 % of "
        "bootstrap samples of groups of clips"
    ]
    lines += [f"{name}: {about}" for name, about in record.about.items()]
    lines += [f"{what} were not measured: {why}" for what, why in record.not_measured.items()]
    lines += [_confused(setting) for setting in rows[-1:]]
    return as_text(*([table, ""] if rows else []), *map(shown, lines))


def _accuracy(setting: Setting, name: str) -> str:
    found = next(each.accuracy for each in setting.methods if each.name == name)
    if found.low is None or found.high is None:
        return f"{100 * found.value:.1f} %"
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _confused(setting: Setting) -> str:
    """Which classes the first method takes for which, most often first."""
    method = setting.methods[0]
    pairs: list[tuple[int, Any]] = [
        (number, f"{setting.labels[row]} for {setting.labels[column]}")
        for row, each in enumerate(method.confusion)
        for column, number in enumerate(each)
        if row != column and number
    ]
    pairs.sort(key=lambda pair: -pair[0])
    listed = ", ".join(f"{pair} ({number})" for number, pair in pairs[:_PAIRS]) or "none"
    return f"taken for another by {method.name}, {count(setting.shots, 'shot')}: {listed}"
