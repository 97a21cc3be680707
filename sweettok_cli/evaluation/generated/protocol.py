"""How papers measure generated videos against real ones: samples, frames, sizes, networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.json_object import JsonObject, Mark
from sweettok_cli.evaluation.protocol import PROTOCOLS, SpatialFit, seeded
from sweettok_cli.metrics.frechet import FrechetRule

Side = Literal["generated", "real"]
Choice = Literal["first", "centre", "random", "windows"]


@dataclass(frozen=True)
class GenerationProtocol(JsonObject):
    """Every choice that moves a figure. The record of a run holds all of them."""

    name: Annotated[str, "of the preset."]
    source: Annotated[str, "whose protocol it is, and the files it was read from."]
    data: Annotated[str, "what it was published on."]
    data_sets: Annotated[tuple[str, ...], "the same as names of data sets here."]
    samples: Annotated[int, "of either side that the published figure takes, and the most that are taken."]
    frames: Annotated[int, "of a sample, consecutive ones; videos that have fewer are left out."]
    real_choice: Annotated[
        Choice,
        "which frames of a real video: the ``first``, those in the ``centre``, a ``random`` run drawn from "
        "``seed`` and the video's name, or ``windows``: each run of frames behind the one before is a sample "
        "of its own.",
    ]
    generated_choice: Annotated[Choice, "the same for a generated video."]
    fit: Annotated[SpatialFit, "what becomes of the size of frames of either side."]
    frechet: Annotated[FrechetRule, "how distances between features are computed."]
    metrics: Annotated[tuple[str, ...], Mark.APART, "measured unless others are asked for."] = ()
    real_order: Annotated[
        Literal["drawn", "by name"],
        "which real samples, where there are more: ``drawn`` with ``seed``, or the first by name. Generated "
        "ones are always drawn.",
    ] = "drawn"
    frame_rate: Annotated[str, "what becomes of frame rates."] = "each file's own, no frame is left out"
    splits: Annotated[
        Mapping[str, str], "the part of a data set that is measured, where it is not the usual one."
    ] = field(default_factory=dict)
    seed: Annotated[int, "of everything drawn."] = 0
    differs: Annotated[tuple[str, ...], Mark.APART, "what of the paper is not reproduced."] = ()

    def choice(self, side: Side) -> Choice:
        """Which frames of a video of this side."""
        return self.real_choice if side == "real" else self.generated_choice

    def start(self, side: Side, name: str, total: int) -> int:
        """Number of the first frame taken of ``total`` frames, at least :attr:`frames`, of one video."""
        choice = self.choice(side)
        if choice == "centre":
            return total // 2 - self.frames // 2
        if choice == "random":
            return seeded(self.seed, name).randint(0, total - self.frames)
        return 0

    def order(self, side: Side, candidates: int) -> list[int]:
        """Places of so many candidates of this side, in the order in which they are taken."""
        places = list(range(candidates))
        if side == "generated" or self.real_order == "drawn":
            seeded(self.seed, side).shuffle(places)
        return places


_MP4 = "Generated videos are read from files, whose codec leaves traces; the paper compares frames in memory."
_NETWORK_128 = SpatialFit("crop", 128, "torch bilinear antialias")
_OMNI_RULES = (
    "The code reads whatever videos the folder of real ones holds; which list the paper took is not said.",
    "The paper's draws come from an unseeded generator; ours have a seed.",
    "Frames are resized by libswscale's bicubic filter after conversion to RGB; the paper's reader (decord) "
    "leaves the filter to its build of FFmpeg and resizes before conversion.",
)

_OMNITOKENIZER = GenerationProtocol(
    name="omnitokenizer",
    source="FoundationVision/OmniTokenizer: evaluation/README.md, evaluation/fvd_external.py",
    data="UCF-101, 2,048 generated videos",
    data_sets=("ucf101",),
    samples=2048,
    frames=17,
    real_choice="centre",
    generated_choice="centre",
    fit=SpatialFit("squash", 128, "swscale bicubic"),
    metrics=("gfvd_400", "jedi"),
    frechet=PROTOCOLS["omnitokenizer"].frechet,
    differs=_OMNI_RULES,
)

GENERATION_PROTOCOLS: dict[str, GenerationProtocol] = {
    protocol.name: protocol
    for protocol in (
        replace(
            _OMNITOKENIZER,  # whose code it is
            name="sweettok",
            source="adxcreative/SweetTok: run_eval_gen.sh, evaluation/fvd_external.py",
            data="UCF-101, 2,048 of 10,000 generated videos",
            frechet=PROTOCOLS["sweettok"].frechet,
            differs=(
                "The paper does not say at which size it measures; 128 pixels are those of OmniTokenizer's "
                "instructions for the same code.",
                *_OMNI_RULES,
            ),
        ),
        _OMNITOKENIZER,
        GenerationProtocol(
            name="larp",
            source="hywang66/LARP: sample.py, datasets/video_dataset.py",
            data="UCF-101 trainlist01, 10,000 generated videos",
            data_sets=("ucf101",),
            samples=10_000,
            frames=16,
            real_choice="windows",
            generated_choice="first",
            fit=_NETWORK_128,
            metrics=("gfvd", "jedi"),
            frechet=PROTOCOLS["larp"].frechet,
            splits={"ucf101": "train"},
            differs=(
                "The paper generates one video of the class of each real sample; here both are drawn apart.",
                "The draws are ours.",
                _MP4,
            ),
        ),
        GenerationProtocol(
            name="stylegan-v",
            source="universome/stylegan-v: src/metrics/{frechet_video_distance,metric_utils}.py, "
            "src/training/dataset.py (fvd2048_16f)",
            data="2,048 generated and real videos, at the data set's size",
            data_sets=(),
            samples=2048,
            frames=16,
            real_choice="random",
            generated_choice="first",
            fit=PROTOCOLS["stylegan-v"].fit,
            metrics=("gfvd", "jedi"),
            frechet=PROTOCOLS["stylegan-v"].frechet,
            real_order="by name",
            differs=(
                "Data sets are prepared by the paper's own script; here the shorter side is brought to 256 "
                "pixels and the middle cut out.",
                "The random starts are ours: the paper's come from an unseeded generator.",
                _MP4,
            ),
        ),
    )
}


def find_generation_protocol(name: str) -> GenerationProtocol:
    """The preset of this name; ``default`` is the paper's of this program.

    Raises:
        SweettokError: there is none.
    """
    found = GENERATION_PROTOCOLS.get("sweettok" if name == "default" else name)
    if found is None:
        raise SweettokError(
            f"There is no protocol {name!r} of generated videos; choose from "
            f"{', '.join(GENERATION_PROTOCOLS)}."
        )
    return found
