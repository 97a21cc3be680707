"""VidTok as a whole: encoder, regulariser, decoder; and a video piece by piece, with its state outside."""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.vidtok.autoencoder import Decoder, Encoder
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory
from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer, VectorQuantizer


class VidTokOutput(NamedTuple):
    """What a clip becomes, and on the way there."""

    reconstruction: Tensor  # [b, 3, t, h, w], about -1 .. 1
    indices: Tensor | None  # int64 [b, t', h', w'] of FSQ and VQ
    loss: Tensor | None  # of the latents, where one was asked for


class VidTok(nn.Module):
    """Video to tokens on a grid of time, height and width, and back.

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

    Source: Tang et al., arXiv:2412.13061, and the networks of microsoft/VidTok, reproduced tensor for tensor;
    but KL latents are only drawn at random in training, or where that is asked for.
    """

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer: FiniteScalarQuantizer | VectorQuantizer = (
            VectorQuantizer(config.codes, config.channels)
            if config.regularizer == "vq"
            else FiniteScalarQuantizer(config.fsq_levels)
        )
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def forward(self, video: Tensor, step: int | None = None) -> VidTokOutput:
        """Clips [b, 3, t, h, w] in -1 .. 1 through their tokens and back, so that gradients pass.

        After ``step`` steps of training, with what is added to the loss for the latents.
        """
        encoded = self.encode_latent(video)
        indices = None
        if self.config.regularizer == "kl":
            found = GaussianLatents.from_moments(encoded.float())
            latents = found.sample() if self.training else found.mean
            loss = None if step is None else found.divergence
        else:
            rows = rearrange(encoded, "b c t h w -> b t h w c")
            codes, indices = self.quantizer.quantize(rows)
            latents = rearrange(codes, "b t h w c -> b c t h w")
            loss = None if step is None else self.quantizer.loss(rows, step)
        return VidTokOutput(self.decode_latent(latents, video.shape[2]), indices, loss)

    def encode(self, video: Tensor) -> Tensor | GaussianLatents:
        """Tokens of clips ``video`` [b, 3, t, h, w] in -1 .. 1.

        Returns:
            FSQ, VQ: indices, int64 [b, t', h', w'] below ``config.codes``. KL: the latents' distribution.

        Raises:
            ValueError: the shape is not one that the network takes.
        """
        return self.regularize(self.encode_latent(video))

    def encode_latent(self, video: Tensor) -> Tensor:
        """As :meth:`encode`, before the regulariser: [b, ``config.encoder_channels``, t', h', w']."""
        return EncoderState(self).push_latent(video)

    def decode(self, latents: Tensor, frames: int | None = None) -> Tensor:
        """Clips [b, 3, t, h, w], about -1 .. 1 but not clamped.

        Args:
            latents: FSQ, VQ: integer indices [b, t', h', w']. KL: a mean or a sample [b, c, t', h', w'].
            frames: keep only so many, the last ones: those that were encoded, without the copies of the first
                frame that had to be put before them.

        Raises:
            ValueError: a shape that the network does not take, an index out of range, or too few frames.
        """
        return self.decode_latent(self.to_latents(latents), frames)

    def decode_latent(self, latents: Tensor, frames: int | None = None) -> Tensor:
        """As :meth:`decode`, for what :meth:`DecoderState.push_latent` takes."""
        state = DecoderState(self)
        video = torch.cat([state.push_latent(latents), state.finish()], 2)
        if frames is None:
            return video
        if not 0 < frames <= video.shape[2]:
            raise ValueError(f"{frames} frames asked of latents that hold {video.shape[2]}")
        return video[:, :, -frames:]

    def regularize(self, latents: Tensor) -> Tensor | GaussianLatents:
        """What :meth:`encode` makes of the encoder's output [b, c, t', h', w']."""
        if self.config.regularizer == "kl":
            return GaussianLatents.from_moments(latents)
        return self.quantizer.indices(rearrange(latents, "b c t h w -> b t h w c"))

    def to_latents(self, tokens: Tensor) -> Tensor:
        """What :meth:`decode` is given, as latents [b, c, t', h', w']."""
        if self.config.regularizer == "kl":
            return tokens
        if tokens.dim() != 4 or tokens.is_floating_point():
            raise ValueError(f"indices are integers [b, t, h, w], not {tokens.dtype} {list(tokens.shape)}")
        return rearrange(self.quantizer.indices_to_codes(tokens), "b t h w c -> b c t h w")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.decoder.norm_out.norm.weight.dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.decoder.norm_out.norm.weight.device


class EncoderState:
    """Frames of one video in, latents out.

    The latents are those of :meth:`VidTok.encode` on all frames at once, however they are cut; only rounding
    differs (5e-6 in float32 for latents of up to 2, with the random weights of the golden tensors).
    """

    def __init__(self, model: VidTok) -> None:
        self._model, self._memory, self._started = model, FrameMemory(), False

    def push(self, frames: Tensor) -> Tensor | GaussianLatents:
        """What :meth:`VidTok.encode` returns, of the next ``frames`` [b, 3, t, h, w] in -1 .. 1.

        The first push may have any length that the network takes for a clip (see
        :meth:`VidTokConfig.frames_in_front`), every later one a multiple of ``config.time_factor`` frames.

        Raises:
            ValueError: the shape or number of frames is not one that the network takes.
        """
        return self._model.regularize(self.push_latent(frames))

    def push_latent(self, frames: Tensor) -> Tensor:
        """As :meth:`push`, before the regulariser: [b, c, t', h', w']."""
        config, shape = self._model.config, list(frames.shape)
        if len(shape) != 5 or shape[1] != 3 or not frames.is_floating_point():
            raise ValueError(f"a video is floating-point [b, 3, t, h, w], not {frames.dtype} {shape}")
        _, _, count, height, width = shape
        factor = config.space_factor
        if not height or not width or height % factor or width % factor:
            raise ValueError(f"{shape}: height and width are not multiples of {factor} pixels")
        if not self._started:
            if front := config.frames_in_front(count):
                frames = torch.cat([frames[:, :, :1].expand(-1, -1, front, -1, -1), frames], 2)
            self._started = True
        elif not count or count % config.time_factor:
            raise ValueError(f"a stream goes on by multiples of {config.time_factor} frames, not by {count}")
        frames = rearrange(frames.to(self._model.dtype), "b c t h w -> b t h w c")
        latents = torch.cat(list(self._model.encoder(frames, self._memory)), 1)
        return rearrange(latents, "b t h w c -> b c t h w")


class DecoderState:
    """Latents of one video in, frames out.

    Frames are those of :meth:`VidTok.decode` on all latents at once, however they are cut: where frames are
    interpolated in time (version 1.1), the last ones of a push depend on latents to come and are held back.
    """

    def __init__(self, model: VidTok) -> None:
        self._model, config = model, model.config
        self._memory, self._doublers = FrameMemory(), model.decoder.doublers()
        self._size: tuple[int, int, int] | None = None
        # Version 1.0 always drops what padding may have put in front; 1.1 leaves that to the caller.
        self._skip = config.time_factor - 1 if config.causal and config.version == "1.0" else 0

    def push(self, latents: Tensor) -> Tensor:
        """The next frames [b, 3, t, h, w], perhaps none yet, for indices [b, t', h', w'] or latents.

        Raises:
            ValueError: the latents' shape is not one that the network takes.
        """
        return self.push_latent(self._model.to_latents(latents))

    def push_latent(self, latents: Tensor) -> Tensor:
        """As :meth:`push`, for latents [b, c, t', h', w'] of all kinds; FSQ, VQ: values of codes."""
        config, shape = self._model.config, list(latents.shape)
        if len(shape) != 5 or shape[1] != config.channels or not all(shape[2:]):
            raise ValueError(f"latents are [b, {config.channels}, t, h, w], not {shape}")
        self._size = (shape[0], shape[3] * config.space_factor, shape[4] * config.space_factor)
        return self._run(rearrange(latents.to(self._model.dtype), "b c t h w -> b t h w c"))

    def finish(self) -> Tensor:
        """The frames [b, 3, t, h, w] that were held back, possibly none; nothing may be pushed after it."""
        return self._run(None)

    def _run(self, latents: Tensor | None) -> Tensor:
        if self._size is None:
            raise ValueError("nothing was pushed")
        batch, height, width = self._size
        model = self._model
        none = torch.empty(batch, 0, height, width, 3, dtype=model.dtype, device=model.device)
        frames = torch.cat([none, *model.decoder(latents, self._memory, self._doublers)], 1)
        dropped = min(self._skip, frames.shape[1])
        self._skip -= dropped
        return rearrange(frames[:, dropped:], "b t h w c -> b c t h w")
