"""``sweettok encode``: videos and images to token files."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.output import FAILED, Output, count, debugging, explain, picked, printed
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import use_one_heap
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.folder import Result
    from sweettok_cli.tokens.layout import TokenizerSpec
    from sweettok_cli.video.loss import Loss


def encode(
    inputs: Annotated[
        list[Path], Argument(help="Videos, images or folders of them.", metavar="FILE|DIR", readable=False)
    ],
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            help="File or folder to write.",
            show_default="beside the source",
            metavar="PATH",
        ),
    ] = None,
    force: options.ForceOption = False,
    skip_existing: Annotated[
        bool,
        Option(
            "--skip-existing",
            help="Leave out what this model has encoded before: resume a long job. With --force, do "
            "again what has changed since.",
        ),
    ] = False,
    model: options.ModelOption = DEFAULT_MODEL,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    batch_clips: options.BatchClipsOption = None,
    overlap: options.OverlapOption = 0,
    sample: options.SampleOption = None,
    keep_going: Annotated[
        bool, Option("--keep-going", help="Encode what is left of files that are cut short.")
    ] = False,
    strict: Annotated[
        bool, Option("--strict", help="Refuse files of which packets, frames or their end are missing.")
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Encode videos and images into token files (.npz).

    Folders are searched for videos and images, and their structure is kept. A file that fails is listed, the
    others are still encoded, and the exit code is 1. The paths written are printed on stdout.

    Examples:

        sweettok encode clip.mp4

        sweettok encode clip.mp4 photo.jpg -o tokens/

        sweettok encode videos -o tokens --skip-existing --json > summary.json
    """
    if keep_going and strict:
        raise typer.BadParameter("--strict refuses what --keep-going takes; give one of them.")
    use_one_heap()
    from sweettok_cli.pipeline.folder import encode_folder, is_batch, other_files

    out = Output(json=as_json, quiet=quiet)
    batch = is_batch(inputs)

    def tokenizer() -> Tokenizer:
        from sweettok_cli.zoo.load import load

        return load(model, device.value, dtype.value, sample=sample, on_progress=out.say if quiet else None)

    def spec() -> TokenizerSpec:
        from sweettok_cli.models.registry import read_spec
        from sweettok_cli.storage.model_folder import ModelFolder
        from sweettok_cli.zoo.load import resolve_model

        return read_spec(ModelFolder(resolve_model(model, out.say if quiet else None)))

    summary: dict[str, list[dict[str, Any]]] = {"encoded": [], "skipped": [], "failed": []}
    told: set[str] = set()
    for result in encode_folder(
        inputs,
        Path(output) if output is not None else None,
        tokenizer,
        to_folder=output is not None and output.endswith(("/", os.sep)),
        force=force,
        skip_existing=skip_existing,
        spec=cache(spec),
        batch_clips=batch_clips,
        overlap=overlap,
        keep_going=keep_going,
        strict=strict,
        watch=out.watch if batch else lambda place, jobs, name: out.progress(name),
    ):
        if result.error is not None:
            refused = result.status == "refused"
            if not batch or (debugging() and not refused):
                raise result.error
            reason = str(result.error) if refused else explain(result.error)
            if not isinstance(result.error, SweettokError):
                reason = f"{result.source}: {reason}"
            summary["failed"].append({"source": str(result.source), "error": reason})
            out.error(reason)
            continue
        record = _record(result)
        if flat := set(record.get("flattened", [])) - told:
            told |= flat
            out.say(f"{result.source}: {' and '.join(sorted(flat))}, here and in others like it.")
        summary[result.status].append(record)
        if result.meta is not None and result.output is not None:
            out.say(
                f"{result.source} -> {result.output}: {count(result.meta.frames, 'frame')}, "
                f"{count(result.meta.clips, 'clip')}, {record['tokens']:,} tokens, "
                f"{record['bits'] / 1000:.1f} kbit, {result.seconds:.1f} s"
            )
            if not as_json:
                print(printed(result.output), flush=True)
    if left := other_files(inputs):
        names = ", ".join(path.name for path in left[:5]) + (f" and {len(left) - 5} more" if left[5:] else "")
        out.say(f"Left out, being no videos or pictures by their names: {names}.")
    if batch or summary["skipped"]:
        out.say(", ".join(f"{len(records)} {name}" for name, records in summary.items()))
    out.result(summary, None)
    if summary["failed"]:
        raise typer.Exit(FAILED)


def _record(result: Result) -> dict[str, Any]:
    from sweettok_cli.tokens import token_cost

    record: dict[str, Any] = {"source": str(result.source), "output": str(result.output)}
    if result.output is None or result.meta is None:
        return record
    meta, cost = result.meta, token_cost(result.meta)
    return {
        **record,
        **picked(meta, "model", "frames", "clips"),
        **picked(cost, "tokens", "indices", "bits"),
        "flattened": result.info.stored.flattened if result.info else [],
        "lost": _lost(result.loss) if result.loss else None,
        "file_bytes": result.output.stat().st_size,
        "seconds": round(result.seconds, 3),
    }


def _lost(loss: Loss) -> dict[str, Any]:
    return {
        **picked(loss, "packets", "frames"),
        "gaps": [{"start": float(gap.start), "seconds": float(gap.seconds)} for gap in loss.gaps],
        "end": None if loss.end is None else float(loss.end),
        "text": loss.words,
    }
