"""What is measured on which frames: the choices of a protocol, and those of the papers."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.json_object import JsonObject, Mark
from sweettok_cli.metrics.choice import QUICK
from sweettok_cli.metrics.frechet import FrechetRule

Filter = Literal["swscale bicubic", "torch bilinear antialias", "pillow bicubic"]

# SWS_BICUBIC, accurate rounding, full chroma: what differs from libswscale's defaults is only more exact.
_SWSCALE = 0x4 | 0x40000 | 0x2000 | 0x4000


@dataclass(frozen=True)
class SpatialFit:
    """What becomes of a frame's size."""

    kind: Annotated[
        Literal["none", "squash", "crop"],
        "``none`` leaves it; ``squash`` makes a square whatever the shape was; ``crop`` brings the shorter "
        "side to ``side`` and cuts the square out of the middle.",
    ] = "none"
    side: Annotated[int, "of the square, in pixels."] = 0
    filter: Annotated[Filter | None, "the library and the filter that resize 8-bit RGB."] = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result."""
        return (width, height) if self.kind == "none" else (self.side, self.side)

    @property
    def words(self) -> str:
        """What becomes of it, in a few words."""
        if self.kind == "none":
            return "their own"
        how = "squashed to" if self.kind == "squash" else "shorter side resized, middle cut out:"
        return f"{how} {self.side}\u00d7{self.side}, {self.filter}"

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """uint8 RGB ``[h, w, 3]`` -> uint8 RGB of :meth:`size`."""
        if self.kind == "none":
            return rgb
        if self.kind == "squash":
            return self._resized(rgb, self.side, self.side)
        height, width = rgb.shape[:2]
        scale = self.side / min(width, height)
        # torchvision's rule for the longer side: cut off, not rounded.
        wide, high = (max(self.side, math.floor(side * scale + 1e-9)) for side in (width, height))
        resized = self._resized(rgb, wide, high)
        # And for the crop: halves go to the even number.
        top, left = round((high - self.side) / 2), round((wide - self.side) / 2)
        return np.ascontiguousarray(resized[top : top + self.side, left : left + self.side])

    def _resized(self, rgb: np.ndarray, width: int, height: int) -> np.ndarray:
        if rgb.shape[:2] == (height, width):
            return rgb
        if self.filter == "pillow bicubic":
            return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
        if self.filter == "torch bilinear antialias":
            planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
            made = F.interpolate(planes, (height, width), mode="bilinear", antialias=True)
            return made[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        scaled = VideoReformatter().reformat(frame, width=width, height=height, interpolation=_SWSCALE)
        return scaled.to_ndarray()


@dataclass(frozen=True)
class Protocol(JsonObject):
    """Every choice that moves a figure. The record of a run holds all of them."""

    name: Annotated[str, "of the preset."]
    source: Annotated[str, "whose protocol it is, and the files it was read from."] = ""
    data: Annotated[str, "what it was published on."] = ""
    data_sets: Annotated[tuple[str, ...], "the same as names of data sets here."] = ()
    choice: Annotated[
        Literal["all", "first", "centre", "random"],
        "which frames of a video: ``all``, the ``first``, those in the ``centre`` (from number ``total // "
        "2 - frames // 2`` on), or a ``random`` run of consecutive ones, drawn for each video from "
        "``seed`` and the video's name.",
    ] = "all"
    frames: Annotated[int | None, "how many, where not all; a shorter video gives all it has."] = None
    fps: Annotated[
        float | None,
        "frames a second that are aimed at by leaving frames out: of every ``round(rate / fps)`` one is "
        "taken. None for the video's own rate.",
    ] = None
    fit: Annotated[SpatialFit, "what becomes of a video frame's size."] = SpatialFit()
    picture_fit: Annotated[SpatialFit, "the same for still pictures."] = SpatialFit()
    rounding: Annotated[
        Literal["nearest", "down"],
        "of the network's output to 8 bits: to the ``nearest`` value or ``down`` (truncated).",
    ] = "nearest"
    window: Annotated[
        int,
        "frames that metrics are given at once, and that a vector of a video feature network stands for. "
        "Longer videos are measured window by window.",
    ] = 17
    average: Annotated[
        Literal["frames", "clips"], "whether a figure is the mean of all ``frames`` or of all ``clips``."
    ] = "frames"
    metrics: Annotated[tuple[str, ...], Mark.APART, "measured on videos unless others are asked for."] = QUICK
    picture_metrics: Annotated[tuple[str, ...], Mark.APART, "measured on still pictures."] = QUICK
    frechet: Annotated[FrechetRule, "how distances between features are computed."] = field(
        default_factory=FrechetRule
    )
    splits: Annotated[
        Mapping[str, str], "the part of a data set that is measured, where it is not the usual one."
    ] = field(default_factory=dict)
    clips: Annotated[int | None, "at most so many items, drawn with ``seed``; None for all."] = None
    seed: Annotated[int, "of everything drawn."] = 0
    differs: Annotated[tuple[str, ...], Mark.APART, "what of the paper is not reproduced."] = ()

    def __post_init__(self) -> None:
        if (self.frames is None) != (self.choice == "all") or self.window < 1:
            raise ValueError(f"no such choice of frames: {self.choice} {self.frames}")

    def start(self, name: str, total: int) -> int:
        """Number of the first frame taken of ``total`` frames of the video ``name`` (after ``fps``)."""
        if self.frames is None or total <= self.frames or self.choice == "first":
            return 0
        if self.choice == "centre":
            return total // 2 - self.frames // 2
        # From the name, so that it does not matter which videos were measured before.
        return seeded(self.seed, name).randint(0, total - self.frames)

    def drawn(self, names: list[str]) -> list[int]:
        """Places of the items that are measured, in order."""
        if self.clips is None or len(names) <= self.clips:
            return list(range(len(names)))
        return sorted(seeded(self.seed, "items").sample(range(len(names)), self.clips))

    def stride(self, rate: float) -> int:
        """Of how many frames one is taken."""
        return 1 if self.fps is None else max(1, round(rate / self.fps))


def seeded(seed: int, name: str) -> random.Random:
    """A generator of its own for everything that has a name."""
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


_SQUASHED = SpatialFit("squash", 256, "swscale bicubic")
_SQUASHED_PICTURE = SpatialFit("squash", 256, "pillow bicubic")
_TF_GAN = FrechetRule(unbiased=True, root="svd", single=True)
_STYLEGAN = FrechetRule(unbiased=False, root="eigh", single=False)
_DECORD = (
    "Frames are resized by libswscale's bicubic filter after conversion to RGB; the paper's reader (decord) "
    "leaves the filter to its build of FFmpeg and resizes before conversion."
)
_ROOT = (
    "The trace of the matrix root is taken from eigenvalues; the paper's code calls scipy.linalg.sqrtm, "
    "which is the same up to rounding."
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="default", source="sweettok: everything that is there, at its own size", data="any folder"
        ),
        Protocol(
            name="sweettok",
            source="adxcreative/SweetTok: data/video_dataset.py, scripts/eval_sweettok.py",
            data="UCF-101 testlist01 (3,783 videos), ImageNet val",
            data_sets=("ucf101", "imagenet"),
            choice="centre",
            frames=17,
            fit=_SQUASHED,
            picture_fit=_SQUASHED_PICTURE,
            rounding="down",
            metrics=("psnr", "psnr_clip", "ssim", "lpips_vgg", "lpips_alex", "rfvd_400"),
            picture_metrics=("psnr", "ssim", "lpips_vgg", "lpips_alex", "rfid"),
            frechet=_TF_GAN,
            average="clips",
            differs=(
                "The published code measures rFVD only: how the paper's PSNR, SSIM and LPIPS are defined is "
                "not known, so several definitions are given.",
                _DECORD,
                "A video of fewer than 17 frames is measured as it is; the paper's reader adds black frames.",
            ),
        ),
        Protocol(
            name="omnitokenizer",
            source="FoundationVision/OmniTokenizer: vqgan_eval.py, OmniTokenizer/{data,fvd/fvd}.py",
            data="UCF-101 and Kinetics-600 validation lists, ImageNet val",
            data_sets=("ucf101", "k600", "imagenet"),
            choice="centre",
            frames=17,
            fit=_SQUASHED,
            picture_fit=_SQUASHED_PICTURE,
            rounding="down",
            metrics=("rfvd_400", "psnr", "ssim"),
            picture_metrics=("rfid", "psnr", "ssim"),
            frechet=_TF_GAN,
            average="clips",
            differs=(
                _DECORD,
                "The validation lists are those of the data sets; the paper's own files were not compared.",
                "PSNR and SSIM are ours; the paper gives rFVD and rFID only.",
                "A video of fewer than 17 frames is measured as it is; the paper's reader adds black frames.",
            ),
        ),
        Protocol(
            name="larp",
            source="hywang66/LARP: eval/rfvd_evaluator.py, datasets/video_dataset.py",
            data="UCF-101 trainlist01 (9,537 videos)",
            data_sets=("ucf101",),
            choice="random",
            frames=16,
            window=16,
            fit=SpatialFit("crop", 128, "torch bilinear antialias"),
            picture_fit=SpatialFit("crop", 128, "torch bilinear antialias"),
            metrics=("psnr_clip", "lpips_vgg", "rfvd"),
            picture_metrics=("psnr_clip", "lpips_vgg", "rfid"),
            frechet=_STYLEGAN,
            splits={"ucf101": "train"},
            average="clips",
            differs=(
                "The random starts are ours: the paper's come from an unseeded generator.",
                "Resized frames and reconstructions are rounded to 8 bits before they are compared; the "
                "paper compares floats.",
                "The paper runs the network under float16 autocast; here --dtype says.",
                _ROOT,
            ),
        ),
        Protocol(
            name="vidtok",
            source="microsoft/VidTok: scripts/inference_evaluate.py, vidtok/data/vidtok.py",
            data="MCL-JCV (30 videos)",
            data_sets=("mcl-jcv",),
            fps=30.0,
            fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            picture_fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            metrics=("psnr_vidtok", "ssim_vidtok", "lpips_vgg"),
            picture_metrics=("psnr_vidtok", "ssim_vidtok", "lpips_vgg"),
            differs=(
                "Resized frames and reconstructions are rounded to 8 bits before they are compared; the "
                "paper compares floats.",
                "Every frame counts once; the paper averages over pieces of 17 (16) frames, and repeated "
                "frames that fill up the last piece count there.",
                "The paper's FVD is left out: its code is not published.",
            ),
        ),
        Protocol(
            name="stylegan-v",
            source="universome/stylegan-v: src/metrics/frechet_video_distance.py",
            data="2,048 clips of 16 frames, at the data set's size",
            choice="random",
            frames=16,
            window=16,
            fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            picture_fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            metrics=("rfvd", "psnr", "ssim"),
            picture_metrics=("psnr", "ssim", "rfid"),
            frechet=_STYLEGAN,
            clips=2048,
            average="clips",
            differs=(
                "The paper compares generated videos with real ones (gFVD); here reconstructions are "
                "compared with their own sources (rFVD), which is a much smaller number.",
                "Data sets are prepared by the paper's own script; here the shorter side is brought to 256 "
                "pixels and the middle cut out.",
                "The random starts are ours.",
                _ROOT,
            ),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The preset of this name.

    Raises:
        SweettokError: there is none.
    """
    if name not in PROTOCOLS:
        raise SweettokError(f"There is no protocol {name!r}; choose from {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
