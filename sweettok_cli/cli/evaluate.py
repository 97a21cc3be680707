"""``sweettok eval``: how well models give back videos, beside what codecs make of the same bits."""

from __future__ import annotations

import shlex
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweettok_cli.cli.options import (
    BatchClipsOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    ForceOption,
    JsonOption,
    OverlapOption,
    QuietOption,
    SampleOption,
)
from sweettok_cli.cli.output import FAILED, Output, debugging, explain
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress, use_one_blas_thread, use_one_heap
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from sweettok_cli.evaluation.journal import Journal
    from sweettok_cli.evaluation.model_method import ModelContender
    from sweettok_cli.evaluation.protocol import Protocol
    from sweettok_cli.evaluation.run import Measured, Plan
    from sweettok_cli.metrics.choice import Chosen


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="A folder of videos and pictures, one of them, or a data set: ucf101, k600, imagenet, "
            "mcl-jcv, davis.",
            metavar="DIR|FILE|NAME",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="The folder of a data set.", metavar="DIR", readable=False)
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Part of a data set.", show_default="as papers do")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="Whose way of measuring: default, sweettok, omnitokenizer, larp, vidtok, stylegan-v.",
        ),
    ] = "default",
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            help="What to measure, such as psnr,ssim,lpips-vgg,rfvd.",
            metavar="NAME,...",
            show_default="by protocol",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Name of a model, or a folder that holds one.", show_default=DEFAULT_MODEL
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", help="Measure several models on the same clips.", metavar="MODEL,..."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Codecs to give as many bits as the first model spends: x264,x265,av1.",
            metavar="NAME,...",
        ),
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves/--no-curves", help="Also measure codecs at rates of their own.")
    ] = True,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write one row a clip to this CSV file.", metavar="FILE")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write a table for a paper.", metavar="FILE")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page for a browser.", metavar="FILE.html")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N items.")] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features", help="A folder with the weights of LPIPS, I3D and Inception.", metavar="DIR"
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            help="Keep in this folder what is measured, for other runs.",
            metavar="DIR",
            show_default="a cache, until done",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an interrupted run has measured.")
    ] = False,
    overlap: OverlapOption = 0,
    sample: SampleOption = None,
    batch_clips: BatchClipsOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
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
    from sweettok_cli.data.datasets import open_dataset
    from sweettok_cli.evaluation.codecs.method import CodecContender
    from sweettok_cli.evaluation.protocol import find_protocol
    from sweettok_cli.files import check_target

    output = Output(json=as_json, quiet=quiet)
    # Everything that can be wrong is found before the model is loaded, which takes seconds.
    rules = find_protocol(protocol)
    found = open_dataset(target, data, split or rules.splits.get(target.lower()))
    for path in (table, markdown, report):
        if path:
            check_target(path, force)
    codecs = [CodecContender(name) for name in _names(baseline)]

    from sweettok_cli.evaluation.record import make_record
    from sweettok_cli.evaluation.run import Plan, run
    from sweettok_cli.evaluation.tables import write_csv, write_markdown

    names = list(dict.fromkeys([*([model] if model or not compare else []), *_names(compare)]))
    models = [
        _load(name or DEFAULT_MODEL, rules, device.value, dtype.value, sample, batch_clips, overlap)
        for name in names
    ]
    _name_apart(models, names)
    plan = Plan(
        data=found,
        items=[found.items[place] for place in rules.drawn([item.name for item in found.items])][:limit],
        protocol=rules,
        models=models,
        codecs=codecs,
        chosen=_choose(metrics, rules, found.items, models, features, output),
        curves=curves,
    )

    def watch(place: int, items: int, name: str) -> AbstractContextManager[OnProgress]:
        return output.progress(f"{place + 1}/{items} {name}")

    with ExitStack() as stack:
        kept = _open_journal(plan, journal, fresh, output, stack)
        try:
            measured = run(plan, kept, watch=watch, explain=_explain)
        except (KeyboardInterrupt, SystemExit):
            output.say(f"Interrupted; {len(kept)} clips are kept. The same command goes on from there.")
            raise
        record = make_record(plan, measured, kept, "sweettok " + shlex.join(sys.argv[1:]))
        _tell(record, measured, output)
        if table:
            write_csv(table, record, force)
        if markdown:
            write_markdown(markdown, record, force)
        if report:
            from sweettok_cli.evaluation.media import Media
            from sweettok_cli.evaluation.report import write_report

            write_report(record, Media(plan, measured), report, force)
        if journal is None and not measured.failed:
            kept.discard()
    from sweettok_cli.cli.evaluation_text import as_words

    output.result(record, None if as_json else as_words(record))
    if measured.failed:
        raise typer.Exit(FAILED)


def _names(given: str | None) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))


def _load(
    name: str,
    protocol: Protocol,
    device: str,
    dtype: str,
    sample: int | None,
    batch_clips: int | None,
    overlap: int,
) -> ModelContender:
    from sweettok_cli.evaluation.model_method import ModelContender
    from sweettok_cli.zoo.load import load_tokenizer

    tokenizer = load_tokenizer(name, device, dtype, sample=sample)
    settings: dict[str, Any] = {
        key: str(getattr(tokenizer, key)).removeprefix("torch.")
        for key in ("device", "dtype")
        if hasattr(tokenizer, key)
    }
    return ModelContender(
        tokenizer,
        batch_clips=batch_clips,
        overlap=overlap,
        truncate=protocol.rounding == "down",
        settings={**settings, "sample": sample},
    )


def _name_apart(models: list[ModelContender], given: list[Any]) -> None:
    """Models of one name are told apart by what was typed."""
    names = [model.name for model in models]
    for model, typed in zip(models, given, strict=True):
        if names.count(model.name) > 1:
            model.name = str(typed or DEFAULT_MODEL)


def _choose(
    metrics: str | None,
    protocol: Protocol,
    items: list[Any],
    models: list[ModelContender],
    features: Path | None,
    output: Output,
) -> Chosen:
    from sweettok_cli.metrics.choice import choose
    from sweettok_cli.metrics.network_files import Places
    from sweettok_cli.video.source import PICTURES

    names: list[str] | tuple[str, ...] = [name.replace("-", "_") for name in _names(metrics)]
    if metrics is None:
        pictures = all(item.path.suffix.lower() in PICTURES for item in items)
        names = protocol.picture_metrics if pictures else protocol.metrics
    if features is not None and not features.is_dir():
        raise SweettokError(f"{features} is not a folder; give one with the weights that metrics need.")
    return choose(
        names,
        places=Places(features, announce=output.say),
        device=getattr(models[0].tokenizer, "device", "cpu"),
        rule=protocol.frechet,
    )


def _open_journal(plan: Plan, folder: Path | None, fresh: bool, output: Output, stack: ExitStack) -> Journal:
    from sweettok_cli.evaluation.journal import Journal, default_folder, item_key

    try:
        journal = stack.enter_context(Journal(folder or default_folder(), plan.fingerprint, fresh))
    except SweettokError as error:
        if folder is not None:
            raise
        output.warn(f"{error} If this run is interrupted, it starts over.")
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sweettok-eval-")))
        return stack.enter_context(Journal(place, plan.fingerprint))
    known = sum(journal.get(item_key(item)) is not None for item in plan.items)
    if known:
        output.say(
            f"{known} of {len(plan.items)} clips were measured before ({journal.folder}); "
            "--fresh starts over."
        )
    return journal


def _tell(record: dict[str, Any], measured: Measured, output: Output) -> None:
    for _, error in measured.failed:
        output.error(error)
    for contender in record["contenders"]:
        for warning in contender["warnings"]:
            output.warn(warning)
    for note in record["data"]["notes"]:
        output.say(note)


def _explain(error: Exception) -> str:
    if debugging():
        raise error
    return explain(error)
