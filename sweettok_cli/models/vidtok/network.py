"""VidTok as a whole: encoder, regulariser, decoder."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.decoder import Decoder
from sweettok_cli.models.vidtok.encoder import Encoder
from sweettok_cli.models.vidtok.fsq import FiniteScalarQuantizer
from sweettok_cli.models.vidtok.gaussian import GaussianLatents
from sweettok_cli.models.vidtok.stream import DecoderStream, EncoderStream


class VidTok(nn.Module):
    """A published video tokenizer whose tokens lie on a grid of time, height and width.

    Frame counts (``f`` is ``config.time_factor``):

    =============  =======================  ==========  ==========================
    network        takes ``t`` frames       ``t'``      :meth:`decode` gives back
    =============  =======================  ==========  ==========================
    causal, 1.0    ``1 + f * k``            ``1 + k``   ``t``
    causal, 1.0    ``f * k``                ``k``       ``t - (f - 1)``, the last
    causal, 1.1    any                      t / f, up   ``f * t'``, or the last of
    non-causal     ``f * k``                ``k``       ``t``
    =============  =======================  ==========  ==========================

    Height and width must be multiples of ``config.space_factor``. Everything is computed in the number format
    of the weights, or as autocast has it; the quantiser always in float32.

    Source: Tang et al., arXiv:2412.13061, and the published networks of microsoft/VidTok, which this
    reproduces tensor for tensor; except that the entropy of the codes, a training loss, is never computed,
    and that KL latents are not drawn at random unless asked for.
    """

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer = FiniteScalarQuantizer(config.fsq_levels)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, video: Tensor) -> Tensor | GaussianLatents:
        """Tokens of clips ``video`` [b, 3, t, h, w] in -1 .. 1.

        Returns:
            FSQ: indices, int64 [b, t', h', w'] in 0 .. ``config.codes`` - 1. KL: the distribution of latents
            [b, c, t', h', w'].

        Raises:
            ValueError: the shape is not one that the network takes.
        """
        return self.regularize(self.encode_latent(video))

    def encode_latent(self, video: Tensor) -> Tensor:
        """As :meth:`encode`, before the regulariser: [b, ``config.encoder_channels``, t', h', w']."""
        return EncoderStream(self).push_latent(video)

    def decode(self, latents: Tensor, frames: int | None = None) -> Tensor:
        """Clips [b, 3, t, h, w], about -1 .. 1 but not clamped.

        Args:
            latents: FSQ: integer indices [b, t', h', w']. KL: a mean or a sample [b, c, t', h', w'].
            frames: keep only so many, the last ones: those that were encoded, where fewer than
                ``config.time_factor`` copies of the first frame had to be put before them.

        Raises:
            ValueError: the shape is not one that the network takes, an index is out of range, or there are
                fewer than ``frames`` frames.
        """
        return self.decode_latent(self.to_latents(latents), frames)

    def decode_latent(self, latents: Tensor, frames: int | None = None) -> Tensor:
        """As :meth:`decode`, for ``latents`` [b, c, t', h', w'] of both kinds; FSQ: values of codes."""
        stream = DecoderStream(self)
        video = torch.cat([stream.push_latent(latents), stream.finish()], 2)
        if frames is None:
            return video
        if not 0 < frames <= video.shape[2]:
            raise ValueError(f"{frames} frames asked of latents that hold {video.shape[2]}")
        return video[:, :, -frames:]

    def encoder_stream(self) -> EncoderStream:
        """For encoding one video piece by piece; any number of streams may be open.

        Raises:
            ValueError: the network is not causal.
        """
        self._check_causal()
        return EncoderStream(self)

    def decoder_stream(self, seams: str = "none") -> DecoderStream:
        """For decoding one video piece by piece; ``seams``: see :class:`DecoderStream`.

        Raises:
            ValueError: the network is not causal, or ``seams`` is unknown.
        """
        self._check_causal()
        return DecoderStream(self, seams)

    def regularize(self, latents: Tensor) -> Tensor | GaussianLatents:
        """What :meth:`encode` makes of the encoder's output [b, c, t', h', w']."""
        if self.config.regularizer == "kl":
            return GaussianLatents.from_moments(latents)
        digits = self.quantizer.digits(rearrange(latents, "b c t h w -> b t h w c"))
        return self.quantizer.digits_to_indices(digits)

    def to_latents(self, tokens: Tensor) -> Tensor:
        """What :meth:`decode` is given, as latents [b, c, t', h', w']."""
        if self.config.regularizer == "kl":
            return tokens
        if tokens.dim() != 4 or tokens.is_floating_point():
            raise ValueError(f"indices are integers [b, t, h, w], not {tokens.dtype} {list(tokens.shape)}")
        return rearrange(self.quantizer.indices_to_codes(tokens), "b t h w c -> b c t h w")

    def check_video(self, video: Tensor) -> None:
        """Refuses anything but [b, 3, t, h, w] with ``h`` and ``w`` that the network can divide."""
        factor = self.config.space_factor
        shape = list(video.shape)
        if video.dim() != 5 or shape[1] != 3 or not video.is_floating_point():
            raise ValueError(f"a video is floating-point [b, 3, t, h, w], not {video.dtype} {shape}")
        if not shape[3] or not shape[4] or shape[3] % factor or shape[4] % factor:
            raise ValueError(f"{shape}: height and width are not multiples of {factor} pixels")

    def check_latents(self, latents: Tensor) -> None:
        """Refuses anything but [b, c, t', h', w'] with at least one frame."""
        shape = list(latents.shape)
        if latents.dim() != 5 or shape[1] != self.config.channels or not all(shape[2:]):
            raise ValueError(f"latents are [b, {self.config.channels}, t, h, w], not {shape}")

    def _check_causal(self) -> None:
        if not self.config.causal:
            raise ValueError("a network that is not causal sees whole clips only: it has no streams")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.decoder.norm_out.norm.weight.dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.decoder.norm_out.norm.weight.device
