"""The options that several commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from typer import Option

Device = StrEnum("Device", ["auto", "cpu", "cuda", "mps"])
Dtype = StrEnum("Dtype", ["auto", "float32", "bfloat16", "float16"])

ModelOption = Annotated[str, Option("--model", "-m", help="Name of a model, or a folder that holds one.")]
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
ForceOption = Annotated[bool, Option("--force", "-f", help="Replace outputs that exist.")]
JsonOption = Annotated[bool, Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, Option("--quiet", "-q", help="No talk and no progress on stderr.")]
