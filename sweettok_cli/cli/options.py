"""The options that several commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Device(StrEnum):
    """Where the model runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Dtype(StrEnum):
    """The number format the model computes in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Name of a model, or a folder that holds one.", show_default=True)
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to run; auto takes the fastest found.", show_default=True)
]
DtypeOption = Annotated[
    Dtype, typer.Option("--dtype", help="Number format to compute in.", show_default=True)
]
BatchClipsOption = Annotated[
    int | None,
    typer.Option("--batch-clips", min=1, help="Clips in the model at once.", show_default="by device"),
]
OverlapOption = Annotated[
    int,
    typer.Option(
        "--overlap",
        min=0,
        help="Frames each clip shares with the one before; decoding cross-fades them.",
        show_default=True,
    ),
]
SampleOption = Annotated[
    int | None,
    typer.Option(
        "--sample",
        min=0,
        metavar="SEED",
        help="Draw the latents of a KL model from their distribution, with this seed.",
        show_default="their mean",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Replace outputs that exist.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No talk and no progress on stderr.")]
