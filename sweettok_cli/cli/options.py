"""The options that several commands share, each defined once."""

from __future__ import annotations

import os
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

if TYPE_CHECKING:
    from sweettok_cli.models.common.budget import Budget
    from sweettok_cli.video.selection import Selection

from sweettok_cli.errors import WrongUsage
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

Device = StrEnum("Device", ["auto", "cpu", "cuda", "mps"])
Dtype = StrEnum("Dtype", ["auto", "float32", "bfloat16", "float16"])

ModelOption = Annotated[str, Option("--model", "-m", help="Name of a model, or a folder that holds one.")]
WordModelOption = Annotated[
    str | None,
    Option(
        "--model",
        "-m",
        help="Model whose words to use.",
        show_default=f"the one in token files; {DEFAULT_MODEL} for videos",
    ),
]
WordFilesArgument = Annotated[
    list[Path],
    Argument(help="Token files, videos or pictures, or folders of them.", metavar="FILE|DIR", readable=False),
]
DeviceOption = Annotated[Device, Option("--device", help="Where to run; auto takes the fastest found.")]
DtypeOption = Annotated[Dtype, Option("--dtype", help="Number format to compute in.")]
BatchClipsOption = Annotated[
    int | None, Option("--batch-clips", min=1, help="Clips in the model at once.", show_default="by device")
]
OverlapOption = Annotated[
    int,
    Option(
        "--overlap", min=0, help="Frames each clip shares with the one before; decoding cross-fades them."
    ),
]
TokensOption = Annotated[
    float | None,
    Option(
        "--tokens",
        min=1,
        metavar="N",
        help="Of a model with levels: as many bits as so many tokens of three words, of a clip of 256x256 "
        "pixels, on average over the video.",
        show_default="as many bits as without levels",
    ),
]
QualityOption = Annotated[
    str | None,
    Option(
        "--quality",
        metavar="low|medium|high|DB",
        help="Of a model with levels: spend what it takes to come near a PSNR (26, 30, 34 dB).",
    ),
]
BudgetsOption = Annotated[
    str | None,
    Option(
        "--budgets",
        metavar="BUDGET,...",
        help="Measure models with levels once at each: numbers of tokens, fixed, low, medium, high, 31dB.",
        show_default="as many tokens as without levels",
    ),
]
FixedOption = Annotated[
    bool,
    Option("--fixed", help="Of a model with levels: the published layout, the same tokens for every clip."),
]
SampleOption = Annotated[
    int | None,
    Option(
        "--sample",
        min=0,
        metavar="SEED",
        help="Draw the latents of a KL model from their distribution, with this seed.",
        show_default="their mean",
    ),
]
FramesOption = Annotated[
    bool,
    Option("--frames-of", help="Take every folder of numbered pictures, given or below, as one video."),
]
FpsOption = Annotated[
    str | None,
    Option(
        "--fps",
        metavar="RATE",
        help="Frames a second of numbered pictures: 24, 23.976 or 30000/1001.",
        show_default="25",
    ),
]
StartOption = Annotated[
    str | None,
    Option(
        "--start",
        metavar="TIME",
        help="Take frames from there on: seconds, or 1:02:03.250.",
        show_default="0",
    ),
]
EndOption = Annotated[
    str | None,
    Option("--end", metavar="TIME", help="Take frames that begin before.", show_default="the end"),
]
TakenFpsOption = Annotated[
    str | None,
    Option(
        "--fps",
        metavar="RATE",
        help="Frames a second of what is encoded: 24, 23.976 or 30000/1001. Of videos, at each such moment "
        "the frame that is shown then; numbered pictures, which state no rate, have this one.",
        show_default="all frames; of pictures 25",
    ),
]
ShortSideOption = Annotated[
    int | None,
    Option(
        "--short-side", metavar="PIXELS", help="Scale down frames whose shorter side is longer than this."
    ),
]
MaxFramesOption = Annotated[int | None, Option("--max-frames", metavar="N", help="Take no more frames.")]
KeepGoingOption = Annotated[
    bool, Option("--keep-going", help="Take what is left of files that are cut short.")
]
StrictOption = Annotated[
    bool, Option("--strict", help="Refuse files of which packets, frames or their end are missing.")
]
ForceOption = Annotated[bool, Option("--force", "-f", help="Replace outputs that exist.")]
JsonOption = Annotated[bool, Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, Option("--quiet", "-q", help="No talk and no progress on stderr.")]


def check_damage(keep_going: bool, strict: bool) -> None:
    """Refuse ``--keep-going`` and ``--strict`` together."""
    if keep_going and strict:
        raise BadParameter("--strict refuses what --keep-going takes; give one of them.")


def names_folder(output: str | None) -> bool:
    """Whether ``-o`` was given with a slash behind it."""
    return output is not None and output.endswith(("/", os.sep))


def rate_of(fps: str | None, sequences: bool) -> Fraction | None:
    """What ``--fps`` says; ``sequences`` is whether there are numbered pictures that it is about.

    Raises:
        WrongUsage: there are none, or it is no rate.
    """
    if fps is None:
        return None
    if not sequences:
        raise WrongUsage(
            "--fps is the rate of numbered pictures; add --frames-of to take folders of them as videos, or "
            "name a pattern such as img_%04d.png."
        )
    from sweettok_cli.video.selection import read_rate

    return read_rate(fps)


def selection_of(
    start: str | None, end: str | None, fps: str | None, short_side: int | None, max_frames: int | None
) -> Selection:
    """What ``--start``, ``--end``, ``--fps``, ``--short-side`` and ``--max-frames`` say.

    Raises:
        WrongUsage: one of them is no such number, or they exclude each other.
    """
    from sweettok_cli.video.selection import Selection

    return Selection("0" if start is None else start, end, fps, short_side, max_frames)  # type: ignore[arg-type]  # reads texts


def budget_of(tokens: float | None, quality: str | None, fixed: bool) -> Budget:
    """What ``--tokens``, ``--quality`` and ``--fixed`` say; at most one of them is given.

    Raises:
        BadParameter: more are, or the quality is none.
    """
    from sweettok_cli.models.common.budget import Budget, decibels

    if (tokens is not None) + (quality is not None) + fixed > 1:
        raise BadParameter("--tokens, --quality and --fixed each say how much to spend; give one of them.")
    try:
        return Budget(tokens, None if quality is None else decibels(quality), fixed)
    except ValueError as error:
        raise BadParameter(f"{error}.", param_hint="--tokens" if quality is None else "--quality") from error


def budgets_of(given: str | None) -> list[Budget]:
    """What ``--budgets`` lists, each once.

    Raises:
        BadParameter: one of them is no budget.
    """
    from sweettok_cli.models.common.budget import read_budget

    try:
        budgets = [read_budget(word.strip()) for word in (given or "").split(",") if word.strip()]
    except ValueError as error:
        raise BadParameter(f"{error}.", param_hint="--budgets") from error
    return list({str(budget): budget for budget in budgets}.values())
