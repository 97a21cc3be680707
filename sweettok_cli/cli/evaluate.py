"""``sweettok eval``: how well models give back videos, beside what codecs make of the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.generated import Kept, check_alone, evaluate_generated
from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, debugging, explain
from sweettok_cli.cli.scores import scores_text
from sweettok_cli.runtime import use_one_blas_thread, use_one_heap
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL


def evaluate(
    context: typer.Context,
    target: Annotated[
        str | None,
        Argument(
            help="A folder of videos and pictures, one of them, or a data set: ucf101, k600, imagenet, "
            "mcl-jcv, davis. `recognition` is a command of its own: sweettok help eval recognition.",
            metavar="DIR|FILE|NAME",
            show_default=False,
        ),
    ] = None,
    generated: Annotated[
        Path | None,
        Option(
            help="A folder of generated videos, to be measured against real ones: gFVD and JEDi.",
            metavar="DIR",
            readable=False,
        ),
    ] = None,
    against: Annotated[
        str | None,
        Option(help="The real videos: a folder, or a data set with --data.", metavar="DIR|NAME"),
    ] = None,
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
            help="What to measure, such as psnr,ssim,lpips-vgg,rfvd; of generated videos gfvd,gfvd-400,jedi.",
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
    budgets: options.BudgetsOption = None,
    baseline: Annotated[
        str | None,
        Option(
            help="Codecs to give as many bits as the first model spends: x264,x265,av1.", metavar="NAME,..."
        ),
    ] = None,
    gop: Annotated[
        int | None,
        Option(
            min=1,
            max=250,
            help="Frames from one key frame of the codecs to the next, such as a model's clip has: 17.",
            metavar="N",
            show_default="where encoders put them",
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
    limit: Annotated[
        int | None, Option(min=1, help="Only the first N items; of generated videos N a side.")
    ] = None,
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
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Measure how well videos survive their tokens: PSNR, SSIM, true bits, codebook use.

    By default every frame is encoded and decoded in memory and compared with its source on 8-bit RGB at the
    clip's own size; --protocol repeats what a paper does. Brackets are intervals of 95 % by bootstrap over
    clips. A clip that fails is listed and makes the exit code 1; the others are still measured. A run that
    was interrupted goes on when the same command is given again.

    With --generated and --against no model is measured: two folders of videos are compared as sets.

    Examples:

        sweettok eval clips

        sweettok eval clips --baseline x264,x265 --report report.html

        sweettok eval ucf101 --data UCF101 --protocol sweettok --json > score.json

        sweettok eval clips --compare sweettok-small,runs/mine/model --markdown table.md

        sweettok eval clips --budgets 640,1280,fixed,31dB --baseline x264 --gop 17 --report report.html

        sweettok eval --generated out --against clips --protocol stylegan-v --features weights
    """
    if generated is not None or against is not None:
        check_alone(context, generated, against)
    elif target is None:
        raise typer.BadParameter("name what to measure: a folder, a file or a data set.")
    if target == "recognition":
        raise typer.BadParameter(
            "it comes first: sweettok eval recognition --data DIR; a folder of that name is ./recognition"
        )
    options.check_damage(keep_going, strict)
    codecs = _names(baseline)
    if gop is not None and not codecs:
        raise typer.BadParameter("--gop is of codecs; name some with --baseline.")
    use_one_heap()
    use_one_blas_thread()
    from sweettok_cli.files import check_target

    output = Output(json=as_json, quiet=quiet)
    measures = None if metrics is None else [name.replace("-", "_") for name in _names(metrics)]
    if target is None:
        assert generated is not None and against is not None
        evaluate_generated(
            generated,
            against,
            Kept(journal, fresh),
            output,
            _explain,
            data=data,
            split=split,
            frames=frames_of,
            rate=options.rate_of(fps, frames_of),
            protocol=protocol,
            metrics=measures,
            limit=limit,
            features=features,
            keep_going=keep_going,
            strict=strict,
            device=device.value,
        )
        return
    for path in (table, markdown, report):
        if path:
            check_target(path, force)

    from sweettok_cli.evaluation.journal import Journal, item_key, open_journal, run_key
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
        metrics=measures,
        budgets=options.budgets_of(budgets),
        codecs=codecs,
        gop=gop,
        curves=curves,
        limit=limit,
        features=features,
        overlap=overlap,
        keep_going=keep_going,
        strict=strict,
        sample=sample,
        batch_clips=batch_clips,
        device=device.value,
        dtype=dtype.value,
        announce=output.say,
    )

    with open_journal(Journal, journal, run_key(plan), fresh, output.warn) as kept:
        known = sum(kept.get(item_key(item)) is not None for item in plan.items)
        if known:
            output.say(
                f"{known} of {len(plan.items)} clips were measured before ({kept.folder}); "
                "--fresh starts over."
            )

        def words(why: str) -> str:
            done = sum(kept.get(item_key(item)) is not None for item in plan.items)
            return _how_to_go_on(why, done, len(plan.items), kept.folder if kept.lasting else None)

        with ended_by(output.say, words):
            measured = run(plan, kept, watch=output.overall().watch, explain=_explain)
            record = make_record(plan, measured, kept, command())
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
    output.result(record.to_json(), None if as_json else scores_text(record))
    if measured.failed:
        raise typer.Exit(FAILED)


def _names(given: str | None) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))


def _how_to_go_on(why: str, done: int, items: int, journal: Path | None) -> str:
    """What an interrupted run leaves, and the command that goes on; ``--fresh`` would forget it again."""
    said = f"{why}; {done} of {items} clips are measured"
    if journal is None:
        return f"{said}, and lost: no journal could be written."
    kept = f" and kept in {journal}" if done else ""
    return f"{said}{kept}. To go on: {command(without='--fresh')}"


def _explain(error: Exception) -> str:
    if debugging():
        raise error
    return explain(error)
