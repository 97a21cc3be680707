"""``sweettok encode``: videos and images to token files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweettok_cli.cli.options import (
    DEFAULT_MODEL,
    BatchClipsOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    ForceOption,
    JsonOption,
    ModelOption,
    OverlapOption,
    QuietOption,
    SampleOption,
)
from sweettok_cli.cli.output import Output, count, debugging, explain
from sweettok_cli.runtime import trimming, use_one_heap

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.jobs import Job


def encode(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Videos, images or folders of them.", metavar="FILE|DIR", readable=False),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File or folder to write.",
            show_default="beside the source",
            metavar="PATH",
        ),
    ] = None,
    force: ForceOption = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Leave out what has been encoded before: resume a long job."),
    ] = False,
    model: ModelOption = DEFAULT_MODEL,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    batch_clips: BatchClipsOption = None,
    overlap: OverlapOption = 0,
    sample: SampleOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Encode videos and images into token files (.npz).

    Folders are searched for videos and images, and their structure is kept. A file that fails is listed, the
    others are still encoded, and the exit code is 1. The paths written are printed on stdout.

    Examples:

        sweettok encode clip.mp4

        sweettok encode clip.mp4 photo.jpg -o tokens/

        sweettok encode videos -o tokens --skip-existing --json > summary.json
    """
    use_one_heap()
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.pipeline.jobs import plan_jobs

    if force and skip_existing:
        raise typer.BadParameter("it contradicts --force", param_hint="--skip-existing")
    out = Output(json=as_json, quiet=quiet)
    to_folder = output is not None and output.endswith(("/", os.sep))
    plan = plan_jobs(inputs, Path(output) if output is not None else None, to_folder)
    summary: dict[str, list[dict[str, Any]]] = {"encoded": [], "skipped": [], "failed": []}
    for source, reason in plan.failed:
        _fail(summary, out, source, reason)
    jobs: list[Job] = []
    for job in plan.jobs:
        try:
            if skip_existing and job.output.is_file():
                summary["skipped"].append({"source": str(job.source), "output": str(job.output)})
            else:
                _prepare(job, force, make_folder=plan.batch or to_folder)
                jobs.append(job)
        except SweettokError as error:
            if not plan.batch:
                raise
            _fail(summary, out, job.source, str(error))
    if jobs:
        from sweettok_cli.zoo.load import load_tokenizer

        tokenizer = load_tokenizer(
            model, device.value, dtype.value, sample=sample, on_progress=out.say if quiet else None
        )
        for place, job in enumerate(jobs, 1):
            label = f"{place}/{len(jobs)} {job.source.name}" if plan.batch else job.source.name
            try:
                record = _encode_one(job, tokenizer, label, batch_clips, overlap, force, out)
            # Whatever is wrong with one file of many must not cost the others.
            except Exception as error:
                if not plan.batch or debugging():
                    raise
                _fail(summary, out, job.source, explain(error))
                continue
            summary["encoded"].append(record)
            if not as_json:
                print(record["output"], flush=True)
    if plan.batch or summary["skipped"]:
        counts = ", ".join(f"{len(records)} {name}" for name, records in summary.items())
        out.say(counts)
    out.result(summary, None)
    if summary["failed"]:
        raise typer.Exit(1)


def _prepare(job: Job, force: bool, make_folder: bool) -> None:
    """Find what would go wrong on writing before the model has run for hours."""
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.files import check_target
    from sweettok_cli.video.source import check_readable

    check_readable(job.source)
    if make_folder:
        try:
            job.output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweettokError(
                f"The folder {job.output.parent} cannot be made ({error.strerror}); choose another with -o."
            ) from error
    check_target(job.output, force)


def _encode_one(
    job: Job,
    tokenizer: Tokenizer,
    label: str,
    batch_clips: int | None,
    overlap: int,
    force: bool,
    out: Output,
) -> dict[str, Any]:
    from sweettok_cli.pipeline.encode import encode_video
    from sweettok_cli.tokens import token_cost, write_tokens

    start = time.perf_counter()
    with out.progress(label) as update:
        tokens = encode_video(
            job.source, tokenizer, batch_clips=batch_clips, overlap=overlap, on_progress=trimming(update)
        )
    write_tokens(job.output, tokens, force)
    seconds = time.perf_counter() - start
    cost = token_cost(tokens.meta)
    out.say(
        f"{job.source} -> {job.output}: {count(tokens.meta.frames, 'frame')}, "
        f"{count(tokens.meta.clips, 'clip')}, {cost.tokens:,} tokens, "
        f"{cost.bits / 1000:.1f} kbit, {seconds:.1f} s"
    )
    return {
        "source": str(job.source),
        "output": str(job.output),
        "model": tokens.meta.model,
        "frames": tokens.meta.frames,
        "clips": tokens.meta.clips,
        "tokens": cost.tokens,
        "indices": cost.indices,
        "bits": cost.bits,
        "file_bytes": job.output.stat().st_size,
        "seconds": round(seconds, 3),
    }


def _fail(summary: dict[str, list[dict[str, Any]]], out: Output, source: Path, reason: str) -> None:
    summary["failed"].append({"source": str(source), "error": reason})
    out.error(reason)
