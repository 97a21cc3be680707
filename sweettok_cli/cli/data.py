"""``sweettok data pack``: clips made small and quick to read, in shards to train on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.help import App
from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, count, printed
from sweettok_cli.errors import WrongUsage

if TYPE_CHECKING:
    from sweettok_cli.data.pieces import Encode

data_app = App(help="Prepare clips for training.")

Codec = StrEnum("Codec", ["h264", "lossless", "copy"])
_SHORT_SIDE, _SECONDS, _CRF = 256, 10.0, 18.0


@data_app.command()
def pack(
    inputs: Annotated[
        list[Path],
        Argument(
            help="Folders, tar shards, or lists (.txt, .csv, .tsv, .jsonl) of clips and pictures.",
            metavar="DIR|SHARD|LIST",
        ),
    ],
    out: Annotated[Path, Option("--out", "-o", help="Folder to write the shards into.")],
    short_side: Annotated[
        int | None,
        Option(min=0, help="Pixels of a frame's short side, at most; 0: as it is.", show_default="256"),
    ] = None,
    fps: Annotated[
        str | None,
        Option(metavar="RATE", help="Frames a second, at most: 24 or 30000/1001.", show_default="all"),
    ] = None,
    codec: Annotated[Codec, Option(help="H.264, exact RGB in H.264, or the files as they are.")] = Codec.h264,
    crf: Annotated[
        float | None, Option(min=0, max=51, help="Quality of h264, 0 is best.", show_default="18")
    ] = None,
    seconds: Annotated[
        float | None,
        Option(min=0, help="Cut videos into pieces of about so long; 0: whole.", show_default="10"),
    ] = None,
    sample: Annotated[
        str | None,
        Option(metavar="SIDExFRAMES", help="Make each piece a sample, the middle of its frames: 256x17."),
    ] = None,
    teacher: Annotated[
        str | None, Option(help="Pack this OmniTokenizer's codes of each sample, too, for SweetTok's proxy.")
    ] = None,
    device: options.DeviceOption = options.Device.auto,
    shard_mb: Annotated[float, Option(min=0.01, help="Megabytes of a shard, about.")] = 1000,
    val: Annotated[
        float, Option(min=0, max=0.9, help="Share of the clips that go into shards of their own.")
    ] = 0,
    seed: Annotated[int, Option(min=0, help="Of the order, and of what --val sets aside.")] = 0,
    workers: Annotated[
        int | None, Option(min=1, help="Clips that are made at once.", show_default="as many as processors")
    ] = None,
    force: options.ForceOption = False,
    skip_existing: Annotated[
        bool,
        Option("--skip-existing", help="Do nothing where this is done. With --force, pack what is not."),
    ] = False,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Pack clips into tar shards: small, quick to read from anywhere, each shard a random mix.

    An index beside each shard says where its clips lie and how long they are, so that training opens none of
    them before its first step. What is interrupted goes on where it was, to the same bytes; until it ends it
    takes twice the room. Clips that cannot be read are listed, the others are packed, and the exit code is 1.
    What to give to train with --data is printed on stdout.

    Examples:

        sweettok data pack videos -o shards

        sweettok data pack clips.csv more/ -o shards --short-side 128 --fps 8 --val 0.02

        sweettok train --stage 2 --data shards/train --val shards/val --prior prior

        sweettok data pack clips -o samples --sample 256x17 --teacher omnitokenizer-imagenet-ucf
    """
    options.check_damage(keep_going, strict)
    from sweettok_cli.data.pack import Plan
    from sweettok_cli.data.pack import pack as run
    from sweettok_cli.data.pieces import Packing

    sizes = {"--short-side": short_side, "--seconds": seconds}
    given = {**sizes, "--fps": fps, "--crf": crf, "--sample": sample}
    if codec == Codec.copy and (named := _first_given(given)):
        raise WrongUsage(f"--codec copy takes files as they are; leave out {named}, or it.")
    if sample is not None and (named := _first_given(sizes)):
        raise WrongUsage(f"--sample says how large and long pieces are; leave out {named}, or it.")
    if teacher is not None and sample is None:
        raise WrongUsage("--teacher gives codes of whole samples; say with --sample how large they are.")
    output = Output(json=as_json, quiet=quiet)
    cut = None if sample is None else _sample(sample)
    weights, encode = ("", None) if teacher is None or cut is None else _taught(teacher, cut, device, output)
    packing = Packing(
        codec=codec.value,
        crf=_CRF if crf is None else crf,
        short_side=_SHORT_SIDE if short_side is None else short_side,
        fps=options.rate_of(fps, sequences=True),
        seconds=_SECONDS if seconds is None else seconds,
        sample=cut,
        teacher=weights,
        keep_going=keep_going,
        strict=strict,
    )
    shard_bytes, jobs = round(shard_mb * 1e6), workers or os.cpu_count() or 1
    plan = Plan(inputs, out, packing, shard_bytes, val, seed, jobs, force, skip_existing, encode)
    kept = "what is packed so far is kept. To go on:"
    with ended_by(output.say, lambda why: f"{why}; {kept} {command()}"):
        record = run(plan, output.progress, output.say)
    for failed in record["unreadable"]:
        output.error(f"{failed['clip']}: {failed['why']}")
    output.say(_summary(record))
    output.result({"folder": str(out), **record}, "\n".join(_folders(record, out)))
    if record["unreadable"]:
        raise typer.Exit(FAILED)


def _first_given(options: Mapping[str, object]) -> str | None:
    return next((name for name, value in options.items() if value is not None), None)


def _sample(text: str) -> tuple[int, int]:
    """Side and frames."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise WrongUsage(f"--sample {text} is no side and number of frames; write for example 256x17.")
    return int(found[1]), int(found[2])


def _taught(
    teacher: str, sample: tuple[int, int], device: options.Device, output: Output
) -> tuple[str, Encode]:
    """SHA-256 of the teacher's weights, and what gives its codes."""
    from sweettok_cli.models.sweettok.teacher import encoder_of, weights_of
    from sweettok_cli.runtime import pick_device
    from sweettok_cli.zoo.load import resolve_model

    folder = resolve_model(teacher, output.say)
    return weights_of(folder), encoder_of(folder, pick_device(device.value), *sample)


def _summary(record: dict[str, Any]) -> str:
    shards, frames = record["shards"], f"{record['frames']:,} frames"
    size = sum(shard["bytes"] for shard in shards) / 1e6
    what = f"{count(record['clips'], 'clip')} as {count(record['pieces'], 'piece')}, {frames}"
    left = f"; {count(len(record['unreadable']), 'clip')} left out" if record["unreadable"] else ""
    done = "packed before" if record.get("skipped") else "packed"
    return f"{done}: {what}, {size:.1f} MB in {count(len(shards), 'shard')}{left}"


def _folders(record: dict[str, Any], out: Path) -> list[str]:
    """The folders of shards, to give to --data and --val."""
    folders = dict.fromkeys((out / shard["shard"]).parent for shard in record["shards"])
    return [printed(folder) for folder in folders]
