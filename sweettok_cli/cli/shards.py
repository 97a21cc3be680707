"""``sweettok export`` and ``sweettok import``: token files as flat sequences in shards, and back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.batch import show_results
from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, count, debugging, explain, printed

if TYPE_CHECKING:
    from sweettok_cli.pipeline.batch import Result

Kind = StrEnum("Kind", ["webdataset", "parquet", "megatron"])


def export(
    inputs: Annotated[
        list[Path],
        Argument(
            help="Token files (.npz, .swt) of one model, or folders of them.",
            metavar="TOKENS|DIR",
            readable=False,
        ),
    ],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="Folder of shards to write.",
            show_default="TOKENS.FORMAT, beside it",
            metavar="DIR",
        ),
    ] = None,
    kind: Annotated[
        Kind, Option("--format", help="Tar of .npz and .json; rows of clips; or .bin and .idx.")
    ] = Kind.webdataset,
    classes: Annotated[
        bool, Option("--classes", help="The name of the folder in which a token file lies is its class.")
    ] = False,
    shard_mb: Annotated[
        float | None,
        Option(
            min=0.01,
            help="Megabytes of symbols of a shard, about.",
            show_default="256; megatron: one shard",
        ),
    ] = None,
    seed: Annotated[int, Option(min=0, help="Of the order of the videos.")] = 0,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            help="Model that encoded, whose token prior and tiles to know.",
            show_default="the one in the files",
        ),
    ] = None,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Export token files for training language models: every video one flat sequence of numbers, in shards.

    What each number is stands in vocabulary.json beside the shards, and docs/shards.md says in which order
    they come. webdataset and datasets read the tar files, datasets and pyarrow the parquet files, Megatron-LM
    the .bin and .idx; sweettok.TokenDataset reads all three.

    All files must be of one model, and of a discrete one. One that cannot be read is listed, the others are
    still exported, and the exit code is 1. The folder is printed on stdout.

    Examples:

        sweettok export tokens

        sweettok export tokens -o shards --format parquet --classes

        sweettok export tokens -o shards --format megatron --json
    """
    from sweettok_cli.pipeline.export_folder import export_folder
    from sweettok_cli.pipeline.plan import token_name
    from sweettok_cli.sequences.shards import SHARD_BYTES
    from sweettok_cli.zoo.local import find_model

    out = Output(json=as_json, quiet=quiet)
    if output is None:
        first = inputs[0].absolute()
        output = inputs[0].parent / f"{first.name if first.is_dir() else token_name(first)}.{kind.value}"
    with ended_by(out.say, lambda why: f"{why}; nothing was written. To start again: {command()}"):
        done = export_folder(
            inputs,
            output,
            kind.value,
            out.overall("clips").watch,
            classes=classes,
            shard_bytes=SHARD_BYTES.get(kind.value) if shard_mb is None else round(shard_mb * 1e6),
            seed=seed,
            model=None if model is None else find_model(model),
            force=force,
        )
    failed = []
    for path, error in done.failed:
        if debugging():
            raise error
        reason = explain(error)
        failed.append({"source": str(path), "error": reason if str(path) in reason else f"{path}: {reason}"})
        out.error(failed[-1]["error"])
    totals = {name: done.record[name] for name in ("videos", "clips", "symbols", "clip_symbols")}
    names = [name for shard in done.record["shards"] for name in shard["files"]]
    out.say(totals_text(done.record))
    data: dict[str, Any] = {"folder": str(output), "format": kind.value, **totals}
    out.result({**data, "files": names, "failed": failed}, printed(output))
    if failed:
        raise typer.Exit(FAILED)


def totals_text(record: Mapping[str, Any]) -> str:
    """What a folder of shards holds, by its record."""
    videos, clips = (count(record[name], name[:-1]) for name in ("videos", "clips"))
    return f"{videos}, {clips}, {record['symbols']:,} symbols in {count(len(record['shards']), 'shard')}"


def import_(
    folder: Annotated[Path, Argument(help="Folder of shards.", metavar="DIR", readable=False)],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="Folder to write the token files into.",
            show_default="DIR.tokens, beside it",
            metavar="DIR",
        ),
    ] = None,
    force: options.ForceOption = False,
    skip_existing: Annotated[
        bool,
        Option("--skip-existing", help="Leave out what is there and the same. With --force, write the rest."),
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Turn shards back into token files (.npz), bit for bit what `sweettok export` was given.

    Every symbol is checked, and every file against its SHA-256. What is damaged is listed, the others are
    still written, and the exit code is 1. The paths written are printed on stdout.

    Examples:

        sweettok import shards -o tokens

        sweettok import shards -o tokens --skip-existing --json
    """
    from sweettok_cli.pipeline.import_folder import import_folder

    out = Output(json=as_json, quiet=quiet)
    progress = out.overall("clips")
    target = output or folder.parent / f"{folder.absolute().name}.tokens"
    results = import_folder(folder, target, force=force, skip_existing=skip_existing, watch=progress.watch)
    show_results(results, out, progress, "imported", batch=True, describe=_describe)


def _describe(result: Result) -> tuple[dict[str, Any], str]:
    assert result.meta is not None
    return {"clips": result.meta.clips}, count(result.meta.clips, "clip")
