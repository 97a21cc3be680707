"""What a VidTok network looks like: one frozen dataclass for every published one and for smaller ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.models.common.settings import (
    OneOf,
    Several,
    Truth,
    Whole,
    check_settings,
    describe_settings,
    override_settings,
)

#: The moving average of all weights, kept among them: ``model_ema.`` and the weight's name without its dots.
AVERAGE = "model_ema."

_NAME = re.compile(
    r"vidtok-(?P<kind>kl|fsq|vq)-(?P<order>causal|noncausal)-(?P<shape>\d+)-(?P<size>\d+)(?P<chn>chn)?(?P<v>-v1\.1)?"
)

# What the published settings add to the default for a compression of time x height x width.
_SHAPES: dict[str, dict[str, Any]] = {
    "488": {},
    "41616": {
        "multipliers": (1, 2, 4, 4, 4),
        "spatial_down": (0, 1, 2, 3),
        "spatial_up": (1, 2, 3, 4),
        # The deepest levels that shrink the picture halve time; as in 488, levels 2 and 1 double it.
        "temporal_down": (2, 3),
    },
    "444": {"spatial_down": (1, 2), "spatial_up": (1, 2)},
    "288": {"temporal_down": (1,), "temporal_up": (2,)},
    "888": {"temporal_down": (0, 1, 2), "temporal_up": (1, 2, 3)},
}

Levels: TypeAlias = Annotated[tuple[int, ...], Several(Whole(0, 7), 0, 8)]


@dataclass(frozen=True)
class VidTokConfig:
    """Shape of the network; the defaults are those of ``vidtok-kl-causal-488-4chn``.

    Levels are counted from the pixels (0) to the latents. Every tuple may be given as a list.

    Source: the settings published with microsoft/VidTok; Tang et al., "VidTok: A Versatile and Open-Source
    Video Tokenizer", arXiv:2412.13061.
    """

    regularizer: Annotated[str, OneOf(("kl", "fsq", "vq"))] = (
        "kl"  # latents are real numbers; or "fsq": each channel takes one of 8 values; or "vq": a latent is
        # one of as many learned vectors as FSQ of so many channels has codes
    )
    channels: Annotated[int, Whole(1, 1024)] = 4  # of the latents, after the regulariser
    causal: Annotated[bool, Truth()] = True  # no frame sees a later one; else convolutions look both ways
    # "1.0", or "1.1" (causal only): what precedes the first frame (nothing, or copies of it), and how time is
    # doubled (by repeating frames, or linearly between them).
    version: Annotated[str, OneOf(("1.0", "1.1"))] = "1.0"
    width: Annotated[int, Whole(1, 4096)] = 128  # channels on level 0
    multipliers: Annotated[tuple[int, ...], Several(Whole(1, 64), 1, 8)] = (
        1,
        2,
        4,
        4,
    )  # channels on each level, in units of ``width``
    encoder_blocks: Annotated[int, Whole(1, 16)] = (
        2  # pairs of a spatial and a temporal residual block on each level
    )
    decoder_blocks: Annotated[int, Whole(1, 16)] = 3
    spatial_down: Levels = (0, 1, 2)  # levels at whose end the encoder halves height and width
    spatial_up: Levels = (1, 2, 3)  # levels at whose end the decoder doubles them
    temporal_down: Levels = (1, 2)  # the same of the number of frames; among ``spatial_down``
    temporal_up: Levels = (1, 2)  # among ``spatial_up``
    # How much of a convolution goes into halving and doubling time: each place learns it, or it stays fixed.
    mixing: Annotated[str, OneOf(("learned", "fixed"))] = "learned"

    def __post_init__(self) -> None:
        check_settings(self)
        if self.regularizer != "kl" and self.channels > 10:  # token files hold 32 bits an index
            raise ValueError(f"channels = {self.channels} is not 1 to 10, as codes of 8 values each need")
        if self.version == "1.1" and not self.causal:
            raise ValueError("version 1.1 is causal")
        levels = set(range(len(self.multipliers)))
        for side, spatial, temporal in (
            ("down", self.spatial_down, self.temporal_down),
            ("up", self.spatial_up, self.temporal_up),
        ):
            if any(sorted(set(found)) != list(found) for found in (spatial, temporal)):
                raise ValueError(f"spatial_{side} and temporal_{side} must list each level once, in order")
            if not set(spatial) <= levels:
                known = f"0..{len(levels) - 1}"
                raise ValueError(f"spatial_{side} {spatial} has a level that is not among {known}")
            if not set(temporal) <= set(spatial):
                raise ValueError(f"temporal_{side} {temporal} is not among spatial_{side} {spatial}")
        if len(self.spatial_down) != len(self.spatial_up) or len(self.temporal_down) != len(self.temporal_up):
            raise ValueError("encoder and decoder must change size equally often")

    @property
    def name(self) -> str:
        """The name that :meth:`from_name` reads, for networks with all other settings as published."""
        order = "causal" if self.causal else "noncausal"
        shape = f"{self.time_factor}{self.space_factor}{self.space_factor}"
        size = f"{self.channels}chn" if self.regularizer == "kl" else str(self.codes)
        version = "-v1.1" if self.version == "1.1" else ""
        return f"vidtok-{self.regularizer}-{order}-{shape}-{size}{version}"

    @classmethod
    def from_name(cls, name: str) -> VidTokConfig:
        """The configuration behind a published name, or one put together in the same way.

        ``vidtok-{kl|fsq|vq}-{causal|noncausal}-{shape}-{size}[-v1.1]``: ``shape`` is the compression of time,
        height and width (488, 41616, 444, 288, 888); ``size`` is ``<n>chn`` for KL and the number of codes,
        a power of 8, for FSQ and VQ.

        Raises:
            ValueError: the name is none of these.
        """
        parts = _NAME.fullmatch(name)
        if parts is None or parts["shape"] not in _SHAPES or (parts["kind"] == "kl") != bool(parts["chn"]):
            raise ValueError(f"{name!r} does not name a VidTok network")
        channels = int(parts["size"])
        if parts["kind"] != "kl":
            codes, channels = channels, (channels.bit_length() - 1) // 3
            if channels < 1 or 8**channels != codes:
                raise ValueError(f"{name!r}: {codes} codes are not a power of 8")
        return cls(
            regularizer=parts["kind"],
            channels=channels,
            causal=parts["order"] == "causal",
            version="1.1" if parts["v"] else "1.0",
            **_SHAPES[parts["shape"]],
        )

    @property
    def fsq_levels(self) -> tuple[int, ...]:
        """Values that each channel of a code can take; empty for KL and VQ."""
        return (8,) * self.channels if self.regularizer == "fsq" else ()

    @property
    def codes(self) -> int:
        """Size of the codebook of an FSQ or VQ network."""
        return 8**self.channels

    @property
    def encoder_channels(self) -> int:
        """Channels that the encoder gives to the regulariser: for KL, mean and logarithm of the variance."""
        return self.channels * (2 if self.regularizer == "kl" else 1)

    @property
    def time_factor(self) -> int:
        """Frames behind one latent frame."""
        return 2 ** len(self.temporal_down)

    @property
    def space_factor(self) -> int:
        """Pixels behind one latent, along height and along width."""
        return 2 ** len(self.spatial_down)

    @property
    def replicates(self) -> bool:
        """Whether copies of the first frame, instead of zeros, precede it in causal convolutions."""
        return self.version == "1.1"

    @property
    def interpolates(self) -> bool:
        """Whether frames are doubled linearly between neighbours instead of by repetition."""
        return self.version == "1.1"

    def frames_in_front(self, frames: int) -> int:
        """Copies of the first frame that the encoder puts before a clip of ``frames`` frames.

        Raises:
            ValueError: the network does not take clips of that length. Version 1.1 takes any; version 1.0
                takes multiples of :attr:`time_factor`, and if it is causal, one frame more than that.
        """
        factor = self.time_factor
        rest = frames % factor
        if frames < 1:
            raise ValueError("a clip has at least one frame")
        if rest == 0 or self.version == "1.1" or (self.causal and rest == 1):
            return -frames % factor
        more = f" or 1 + {factor} * k" if self.causal else ""
        raise ValueError(f"a clip of {frames} frames: this network takes {factor} * k{more} frames")


SMALL = VidTokConfig("fsq", channels=4, width=16, encoder_blocks=1, decoder_blocks=1)
"""For tests and CPUs: the shape of ``vidtok-fsq-causal-488-4096``, thinner."""

PRESETS = {"vidtok-small": SMALL}


def make_config(table: Mapping[str, Any]) -> VidTokConfig:
    """The configuration that ``preset`` names, itself or as published, with the other keys put in its place.

    Raises:
        SweettokError: unknown preset or key, or values that do not fit together.
    """
    overrides = dict(table)
    preset = overrides.pop("preset", "vidtok-small")
    try:
        base = PRESETS[preset] if preset in PRESETS else VidTokConfig.from_name(preset)
    except (TypeError, ValueError) as error:
        raise SweettokError(
            f"There is no network {brief(preset)}; set model.preset to {', '.join(PRESETS)}, or to a name "
            "like vidtok-fsq-causal-488-262144."
        ) from error
    return override_settings(base, overrides)


def describe_config(config: VidTokConfig) -> dict[str, Any]:
    """A table that :func:`make_config` reads back: the nearest preset and what differs from it."""
    named = dict(PRESETS)
    with suppress(ValueError):  # of a shape that none has
        named[config.name] = VidTokConfig.from_name(config.name)
    return describe_settings(config, named)
