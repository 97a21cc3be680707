"""``sweettok eval``: how well a model gives back a folder of videos."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweettok_cli.cli.allocator import use_one_heap
from sweettok_cli.cli.failures import debugging, explain
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
from sweettok_cli.cli.output import Output, ProgressCallback, count
from sweettok_cli.cli.tables import as_text

if TYPE_CHECKING:
    from sweettok_cli.evaluation.folder import FolderScore


def evaluate(
    target: Annotated[
        Path,
        typer.Argument(
            help="A folder of videos and pictures, or one of them.", metavar="DIR|FILE", readable=False
        ),
    ],
    model: ModelOption = DEFAULT_MODEL,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Also write one row a file to this CSV file.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N files.")] = None,
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

    Every frame is encoded and decoded in memory and compared with its source on 8-bit RGB at the clip's own
    size. Means are over all frames. A file that fails is listed and makes the exit code 1; the others are
    still measured.

    Examples:

        sweettok eval clips

        sweettok eval clips --model sweettok-small --json > score.json

        sweettok eval clip.mp4 --csv score.csv --limit 10
    """
    use_one_heap()
    from sweettok_cli.evaluation.folder import find_files, measure_folder
    from sweettok_cli.files import check_target
    from sweettok_cli.tokenizers.load import load_tokenizer

    output = Output(json=as_json, quiet=quiet)
    find_files(target)  # before the model is loaded, which takes seconds
    if table:
        check_target(table, force)
    tokenizer = load_tokenizer(model, device.value, dtype.value, sample=sample)

    @contextmanager
    def watch(place: int, files: int, name: str) -> Iterator[ProgressCallback]:
        with output.progress(f"{place + 1}/{files} {name}") as update:
            yield update

    score = measure_folder(
        target,
        tokenizer,
        batch_clips=batch_clips,
        overlap=overlap,
        limit=limit,
        watch=watch,
        explain=_explain,
    )
    for _, error in score.failed:
        output.error(error)
    record = score.record()
    if table:
        _write_rows(table, record["per_file"], force)
    output.result(record, None if as_json else _text(score, record))
    if score.failed:
        raise typer.Exit(1)


def _explain(error: Exception) -> str:
    if debugging():
        raise error
    return explain(error)


def _write_rows(path: Path, rows: list[dict[str, Any]], force: bool) -> None:
    from sweettok_cli.files import atomic_output

    with atomic_output(path, force) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0] if rows else ["file"])
        writer.writeheader()
        writer.writerows(rows)


def _text(score: FolderScore, record: dict[str, Any]) -> str:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    for heading in ("size", "frames", "PSNR dB", "SSIM", "bits/pixel", "seams", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in record["per_file"]:
        table.add_row(
            row["file"],
            f"{row['width']}x{row['height']}",
            str(row["frames"]),
            f"{row['psnr']:.2f}",
            f"{row['ssim']:.4f}",
            f"{row['bits_per_pixel']:.4f}",
            _figure(row["seam_flicker"], 2),
            f"{row['seconds']:.1f}",
        )
    price = record["clip_256"]
    failed = f" ({len(score.failed)} failed)" if score.failed else ""
    lines = [
        f"{score.spec.name}, {count(record['files'], 'file')}{failed}, {count(record['frames'], 'frame')}, "
        f"{record['seconds']:.0f} s",
        f"PSNR  {_figure(record['psnr'], 2)} dB over all frames, "
        f"{_figure(record['psnr_mean_of_files'], 2)} dB mean of files",
        f"SSIM  {_figure(record['ssim'], 4)} over all frames, "
        f"{_figure(record['ssim_mean_of_files'], 4)} mean of files",
        f"cost  {' + '.join(str(number) for number in price['tokens'].values())} tokens "
        f"({price['indices']} indices, {price['kbit']:.2f} kbit) for {price['frames']} frames of 256x256; "
        f"here {_figure(record['bits_per_pixel'], 4)} bits per pixel",
        f"seams {_figure(record['seam_flicker'], 2)} times the change that the error makes inside clips "
        "(1: borders between clips do not show)",
    ]
    lines += [
        f"words {part}: {100 * use.use:.0f} % of {use.size} used, perplexity {use.perplexity:.0f}"
        for part, use in score.use().items()
    ]
    return as_text(table, *lines) if record["per_file"] else "\n".join(lines)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
