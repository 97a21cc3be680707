"""What an OmniTokenizer looks like: one frozen dataclass for the published networks and for smaller ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.models.common.settings import (
    Blocks,
    OneOf,
    Whole,
    check_settings,
    describe_settings,
    override_settings,
)
from sweettok_cli.models.common.tiles import TileGrid
from sweettok_cli.models.common.transformer import StackConfig


@dataclass(frozen=True)
class OmniConfig:
    """Shape of the network; the defaults are the published one.

    Stacks are block strings of :class:`StackConfig`: ``t`` attention over the whole frame (or over time),
    ``w`` attention in windows of ``window x window`` patches.
    """

    patch: Annotated[int, Whole(1, 64)] = 8  # pixels
    temporal_patch: Annotated[int, Whole(1, 64)] = 4  # frames after the first one that share a latent frame
    encoder_spatial: Annotated[str, Blocks("tw")] = "ttww"
    encoder_temporal: Annotated[str, Blocks("t")] = "tttt"
    decoder_spatial: Annotated[str, Blocks("tw")] = "tttt"
    decoder_temporal: Annotated[str, Blocks("t")] = "tttt"
    window: Annotated[int, Whole(1, 32)] = 8  # patches
    dim: Annotated[int, Whole(1, 16_384)] = 512
    heads: Annotated[int, Whole(1, 256)] = 8
    head_dim: Annotated[int, Whole(4, 1024)] = 64
    # Latents are one of so many codes, or real numbers: the published VQ and VAE.
    regularizer: Annotated[str, OneOf(("vq", "kl"))] = "vq"
    codes: Annotated[int, Whole(1, 1 << 20)] = 8192  # of VQ
    code_dim: Annotated[int, Whole(1, 16_384)] = 8  # numbers of a code, or channels of a latent
    frames: Annotated[int, Whole(1, 1025)] = 17  # of the clips that the published network was trained on

    def __post_init__(self) -> None:
        check_settings(self)
        if (self.frames - 1) % self.temporal_patch:
            raise ValueError(f"frames = {self.frames} is not 1 + k * {self.temporal_patch}")
        if self.head_dim % 4:
            raise ValueError(f"head_dim = {self.head_dim} is not a multiple of 4")
        if "w" in self.encoder_spatial + self.decoder_spatial and self.dim % self.heads:
            raise ValueError(f"dim = {self.dim} is not a multiple of {self.heads}")

    @property
    def encoder_channels(self) -> int:
        """Numbers that the encoder gives a latent: for KL, mean and logarithm of the variance."""
        return self.code_dim * (2 if self.regularizer == "kl" else 1)

    def spatial(self, blocks: str) -> StackConfig:
        """A stack that sees the patches of each frame and, by position convolution, the frames before."""
        return self._stack(blocks, rotary=True)

    def temporal(self, blocks: str) -> StackConfig:
        """A stack that sees one patch column over time, only what came before."""
        return self._stack(blocks, scrambled=True, causal=True)

    def _stack(self, blocks: str, **changes: Any) -> StackConfig:
        sizes = {name: getattr(self, name) for name in ("dim", "heads", "head_dim", "window")}
        return StackConfig(blocks, **sizes, position_convolution=True, **changes)

    @property
    def multiple(self) -> int:
        """Frames must be a whole number of windows: sides are multiples of this many pixels."""
        return self.patch * self.window

    def patch_grid(self, height: int, width: int) -> TileGrid:
        """The patches of a frame of ``height x width`` pixels, which all see each other.

        Raises ValueError if the frame is not a whole number of windows; pad it first.
        """
        if height % self.multiple or width % self.multiple or not height or not width:
            raise ValueError(f"frames of {width}x{height} are not a multiple of {self.multiple} pixels")
        return TileGrid.whole(height // self.patch, width // self.patch)


SMALL = OmniConfig(
    encoder_spatial="ttw",
    encoder_temporal="t",
    decoder_spatial="ttt",
    decoder_temporal="t",
    dim=128,
    heads=4,
    head_dim=32,
    codes=1024,
)
"""For tests and CPUs: the published shape, thinner and not as deep."""

#: The networks that go by a name.
PRESETS: dict[str, OmniConfig] = {"omnitokenizer": OmniConfig(), "omnitokenizer-small": SMALL}


def make_config(table: Mapping[str, Any]) -> OmniConfig:
    """The configuration named by ``preset`` with the other keys put in its place.

    Raises:
        SweettokError: unknown preset or key, or values that do not fit together.
    """
    overrides = dict(table)
    preset = overrides.pop("preset", "omnitokenizer")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SweettokError(
            f"There is no network {brief(preset)}; set model.preset to one of {', '.join(PRESETS)}."
        )
    return override_settings(PRESETS[preset], overrides)


def describe_config(config: OmniConfig) -> dict[str, Any]:
    """A table that :func:`make_config` reads back: the nearest preset and what differs from it."""
    return describe_settings(config, PRESETS)
