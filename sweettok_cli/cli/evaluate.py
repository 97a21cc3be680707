"""``sweettok eval``: how well models give back videos, beside what codecs make of the same bits."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.output import FAILED, Output, as_text, count, debugging, explain
from sweettok_cli.runtime import use_one_blas_thread, use_one_heap
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from sweettok_cli.evaluation.record import MethodFacts, Record

#: Clips that are listed; of more only the worst are.
_SHOWN, _WORST = 40, 10


def evaluate(
    target: Annotated[
        str,
        Argument(
            help="A folder of videos and pictures, one of them, or a data set: ucf101, k600, imagenet, "
            "mcl-jcv, davis.",
            metavar="DIR|FILE|NAME",
        ),
    ],
    data: Annotated[
        Path | None, Option(help="The folder of a data set.", metavar="DIR", readable=False)
    ] = None,
    frames_of: options.FramesOption = False,
    fps: options.FpsOption = None,
    split: Annotated[str | None, Option(help="Part of a data set.", show_default="as papers do")] = None,
    protocol: Annotated[
        str,
        Option(help="Whose way of measuring: default, sweettok, omnitokenizer, larp, vidtok, stylegan-v."),
    ] = "default",
    metrics: Annotated[
        str | None,
        Option(
            help="What to measure, such as psnr,ssim,lpips-vgg,rfvd.",
            metavar="NAME,...",
            show_default="by protocol",
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            "--model", "-m", help="Name of a model, or a folder that holds one.", show_default=DEFAULT_MODEL
        ),
    ] = None,
    compare: Annotated[
        str | None, Option(help="Measure several models on the same clips.", metavar="MODEL,...")
    ] = None,
    baseline: Annotated[
        str | None,
        Option(
            help="Codecs to give as many bits as the first model spends: x264,x265,av1.", metavar="NAME,..."
        ),
    ] = None,
    curves: Annotated[
        bool, Option("--curves/--no-curves", help="Also measure codecs at rates of their own.")
    ] = True,
    table: Annotated[
        Path | None, Option("--csv", help="Write one row a clip to this CSV file.", metavar="FILE")
    ] = None,
    markdown: Annotated[Path | None, Option(help="Write a table for a paper.", metavar="FILE")] = None,
    report: Annotated[Path | None, Option(help="Write a page for a browser.", metavar="FILE.html")] = None,
    limit: Annotated[int | None, Option(min=1, help="Only the first N items.")] = None,
    features: Annotated[
        Path | None, Option(help="A folder with the weights of LPIPS, I3D and Inception.", metavar="DIR")
    ] = None,
    journal: Annotated[
        Path | None,
        Option(
            help="Keep in this folder what is measured, for other runs.",
            metavar="DIR",
            show_default="a cache, until done",
        ),
    ] = None,
    fresh: Annotated[bool, Option("--fresh", help="Forget what an interrupted run has measured.")] = False,
    overlap: options.OverlapOption = 0,
    sample: options.SampleOption = None,
    batch_clips: options.BatchClipsOption = None,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Measure how well videos survive their tokens: PSNR, SSIM, true bits, codebook use.

    By default every frame is encoded and decoded in memory and compared with its source on 8-bit RGB at the
    clip's own size; --protocol repeats what a paper does. Brackets are intervals of 95 % by bootstrap over
    clips. A clip that fails is listed and makes the exit code 1; the others are still measured. A run that
    was interrupted goes on when the same command is given again.

    Examples:

        sweettok eval clips

        sweettok eval clips --baseline x264,x265 --report report.html

        sweettok eval ucf101 --data UCF101 --protocol sweettok --json > score.json

        sweettok eval clips --compare sweettok-small,runs/mine/model --markdown table.md
    """
    use_one_heap()
    use_one_blas_thread()
    from sweettok_cli.files import check_target

    output = Output(json=as_json, quiet=quiet)
    for path in (table, markdown, report):
        if path:
            check_target(path, force)

    from sweettok_cli.evaluation.journal import item_key, open_journal, run_key
    from sweettok_cli.evaluation.plan import make_plan
    from sweettok_cli.evaluation.run import Media, run
    from sweettok_cli.evaluation.summary import make_record
    from sweettok_cli.evaluation.tables import write_csv, write_markdown
    from sweettok_cli.video.sequence import is_pattern

    compared = _names(compare)
    plan = make_plan(
        target,
        list(dict.fromkeys([*([model or DEFAULT_MODEL] if model or not compare else []), *compared])),
        data=data,
        split=split,
        frames=frames_of,
        rate=options.rate_of(fps, frames_of or is_pattern(Path(target))),
        protocol=protocol,
        metrics=None if metrics is None else [name.replace("-", "_") for name in _names(metrics)],
        codecs=_names(baseline),
        curves=curves,
        limit=limit,
        features=features,
        overlap=overlap,
        sample=sample,
        batch_clips=batch_clips,
        device=device.value,
        dtype=dtype.value,
        announce=output.say,
    )

    with open_journal(journal, run_key(plan), fresh, output.warn) as kept:
        known = sum(kept.get(item_key(item)) is not None for item in plan.items)
        if known:
            output.say(
                f"{known} of {len(plan.items)} clips were measured before ({kept.folder}); "
                "--fresh starts over."
            )
        try:
            measured = run(plan, kept, watch=output.overall().watch, explain=_explain)
        except (KeyboardInterrupt, SystemExit):
            output.say(f"Interrupted; {len(kept)} clips are kept. The same command goes on from there.")
            raise
        record = make_record(plan, measured, kept, "sweettok " + shlex.join(sys.argv[1:]))
        for _, error in measured.failed:
            output.error(error)
        for method in record.methods:
            for warning in method.warnings:
                output.warn(warning)
        for note in record.data.notes:
            output.say(note)
        if table:
            write_csv(table, record, force)
        if markdown:
            write_markdown(markdown, record, force)
        if report:
            from sweettok_cli.evaluation.report.page import write_report

            write_report(record, Media(plan, measured), report, force)
        if journal is None and not measured.failed:
            kept.discard()
    output.result(record.to_json(), None if as_json else _text(record))
    if measured.failed:
        raise typer.Exit(FAILED)


def _names(given: str | None) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))


def _explain(error: Exception) -> str:
    if debugging():
        raise error
    return explain(error)


def _text(record: Record) -> str:
    """Tables and sentences: clips, methods, cost, codebooks, what is missing."""
    tables = [_clips(record)] if record.clips else []
    if record.clips and len(record.methods) > 1:
        tables.append(_methods(record))
    return as_text(*tables, *_lines(record))


def _table(*headings: str) -> Any:
    from rich import box
    from rich.table import Column, Table

    figures = (Column(heading, justify="right", no_wrap=True) for heading in headings[1:])
    return Table(Column(headings[0], overflow="fold"), *figures, box=box.SIMPLE_HEAD, pad_edge=False)


def _clips(record: Record) -> Any:
    """The clips as the first method gives them back."""
    from sweettok_cli.evaluation.tables import COSTS, STEADINESS, TITLES, digits_of, figure

    first, clips = record.methods[0], record.clips
    scores = {clip.name: clip.scores[first.name].to_json() for clip in clips}
    metrics = [m for m in TITLES if m in first.summary and any(m in each for each in scores.values())]
    costs = (*COSTS, *STEADINESS)
    shown = [*[m for m in metrics if m not in costs][:4], "bits_per_pixel", "seam_flicker"]
    heading = "file"
    if len(clips) > _SHOWN and shown[0] not in costs:
        higher = first.summary[shown[0]].better == "higher"
        scored = [clip for clip in clips if shown[0] in scores[clip.name]]
        worst = sorted(scored, key=lambda clip: scores[clip.name][shown[0]], reverse=not higher)[:_WORST]
        heading, clips = f"worst {len(worst)} of {len(clips)}", tuple(worst)
    headings = {"psnr": "PSNR dB", "bits_per_pixel": "bits/pixel", "seam_flicker": "seams"}
    table = _table(heading, "size", "frames", *(headings.get(m, TITLES[m]) for m in shown), "seconds")
    digits = [digits_of(m, first.summary[m].unit if m in first.summary else "") for m in shown]
    for clip in clips:
        each = scores[clip.name]
        table.add_row(
            clip.name,
            f"{clip.width}x{clip.height}",
            str(clip.frames),
            *(figure(each.get(m), d) for m, d in zip(shown, digits, strict=True)),
            f"{each['seconds']:.1f}",
        )
    return table


def _methods(record: Record) -> Any:
    """One row a figure, one column a method: intervals are wide."""
    from sweettok_cli.evaluation.tables import TITLES, with_interval

    summaries = [each.summary for each in record.methods]
    table = _table("", *(each.name for each in record.methods))
    for name in (name for name in TITLES if any(name in summary for summary in summaries)):
        cells = (with_interval(name, s[name]) if name in s else "-" for s in summaries)
        table.add_row(TITLES[name], *cells)
    return table


def _lines(record: Record) -> list[str]:
    from sweettok_cli.evaluation import tables
    from sweettok_cli.evaluation.tables import TITLES, digits_of, with_interval

    first, data, protocol = record.methods[0], record.data, record.protocol
    failed = f" ({len(record.failed)} failed)" if record.failed else ""
    lines = [
        f"{first.name} on {data.name}, {count(data.clips, 'file')}{failed}, {count(data.frames, 'frame')}, "
        f"{first.seconds.encode + first.seconds.decode:.0f} s in the model; protocol {protocol.name}, mean "
        f"over {protocol.average}, 95 % intervals over clips"
    ]
    for name, entry in first.summary.items() if len(record.methods) == 1 else ():
        if name in (*tables.COSTS, *tables.STEADINESS):
            continue
        also = ""
        if entry.mean_of_clips is not None and protocol.average == "frames" and data.clips > 1:
            also = f", {tables.figure(entry.mean_of_clips, digits_of(name, entry.unit))} mean of files"
        unit = f" {entry.unit}" if entry.unit else ""
        lines.append(f"{tables.short_title(name):<5} {with_interval(name, entry)}{unit}{also}")
    lines.append(_cost(first))
    if "seam_flicker" in first.summary:
        lines.append(
            f"seams {with_interval('seam_flicker', first.summary['seam_flicker'])} times the change that "
            "the error makes inside clips (1: borders between clips do not show)"
        )
    lines += [
        f"words {part}: {100 * use.use:.0f} % of {use.size} used, perplexity {use.perplexity:.0f}, "
        f"{use.entropy_bits:.1f} bits a code"
        for part, use in first.codebooks.items()
    ]
    units = {name: entry.unit for each in reversed(record.methods) for name, entry in each.summary.items()}
    for pair in record.comparisons:
        digits = digits_of(pair.metric, units.get(pair.metric, ""))
        between = "" if pair.low is None else f" [{pair.low:+.{digits}f}, {pair.high:+.{digits}f}]"
        lines.append(f"{pair.a} - {pair.b}: {TITLES[pair.metric]} {pair.difference:+.{digits}f}{between}")
    for method in record.methods:
        lines += [
            f"{TITLES.get(name, name)} of {method.name} was not measured: {reason}"
            for name, reason in method.not_measured.items()
            if name == "psnr_global" or name in units or method is first
        ]
    lines += [f"differs from the paper: {each}" for each in protocol.differs_from_paper]
    return lines


def _cost(first: MethodFacts) -> str:
    from sweettok_cli.evaluation.tables import COSTS, figure

    clip = first.cost.clip_256
    assert clip is not None  # the first is a model
    pixel, second = (first.summary[name].value if name in first.summary else None for name in COSTS)
    return (
        f"cost  {' + '.join(str(number) for number in clip.tokens.values())} tokens "
        f"({clip.indices} indices, {clip.kbit:.2f} kbit) for {clip.frames} frames of "
        f"{clip.width}x{clip.height}; here {figure(pixel, 4)} bits per pixel, {figure(second, 1)} kbit/s"
    )
