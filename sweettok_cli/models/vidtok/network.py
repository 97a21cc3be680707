"""VidTok as a whole: encoder, regulariser, decoder; and a video piece by piece, with its state outside."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.vidtok.autoencoder import Decoder, Encoder
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.memory import FrameMemory, Piece
from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer, GaussianLatents


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
        return EncoderState(self).push_latent(video)

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
        self._model = model
        self._memory = FrameMemory()
        self._started = False

    def push(self, frames: Tensor) -> Tensor | GaussianLatents:
        """What :meth:`VidTok.encode` returns, of the next ``frames`` [b, 3, t, h, w] in -1 .. 1.

        The first push is treated as the beginning of a clip as long as it (see
        :meth:`VidTokConfig.frames_in_front`; its length may be 1 or any other that the network takes); every
        later one must hold a multiple of ``config.time_factor`` frames.

        Raises:
            ValueError: the shape or number of frames is not one that the network takes.
        """
        return self._model.regularize(self.push_latent(frames))

    def push_latent(self, frames: Tensor) -> Tensor:
        """As :meth:`push`, before the regulariser: [b, c, t', h', w']."""
        config = self._model.config
        self._model.check_video(frames)
        count = frames.shape[2]
        if not self._started:
            front = config.frames_in_front(count)
            if front:
                frames = torch.cat([frames[:, :, :1].expand(-1, -1, front, -1, -1), frames], 2)
            self._started = True
        elif not count or count % config.time_factor:
            raise ValueError(f"a stream goes on by multiples of {config.time_factor} frames, not by {count}")
        piece = Piece(rearrange(frames.to(self._model.dtype), "b c t h w -> b t h w c"), self._memory)
        latents = torch.cat(list(self._model.encoder([piece])), 1)
        return rearrange(latents, "b t h w c -> b c t h w")


class DecoderState:
    """Latents of one video in, frames out.

    Where frames are interpolated in time (version 1.1), the last frames of a push depend on latents to come
    and are held back: frames are those of :meth:`VidTok.decode` on all latents at once, however they are cut.
    Version 1.0 repeats frames instead, and nothing is held back.
    """

    def __init__(self, model: VidTok) -> None:
        config = model.config
        self._model = model
        self._memory = FrameMemory()
        self._doublers = model.decoder.doublers()
        self._size: tuple[int, int, int] | None = None
        # Version 1.0 always drops what padding may have put in front; 1.1 leaves that to the caller.
        self._skip = config.time_factor - 1 if config.causal and config.version == "1.0" else 0

    def push(self, latents: Tensor) -> Tensor:
        """The next frames [b, 3, t, h, w], for indices [b, t', h', w'] or latents [b, c, t', h', w'].

        There may be none yet; what is held back comes with a later push or with :meth:`finish`.

        Raises:
            ValueError: the latents' shape is not one that the network takes.
        """
        return self.push_latent(self._model.to_latents(latents))

    def push_latent(self, latents: Tensor) -> Tensor:
        """As :meth:`push`, for what :meth:`VidTok.decode_latent` takes."""
        self._model.check_latents(latents)
        batch, _, _, height, width = latents.shape
        factor = self._model.config.space_factor
        self._size = (batch, height * factor, width * factor)
        latents = rearrange(latents.to(self._model.dtype), "b c t h w -> b t h w c")
        return self._run([Piece(latents, self._memory)], closed=False)

    def finish(self) -> Tensor:
        """The frames [b, 3, t, h, w] that were held back, possibly none; nothing may be pushed after it."""
        return self._run([], closed=True)

    def _run(self, pieces: list[Piece], closed: bool) -> Tensor:
        if self._size is None:
            raise ValueError("nothing was pushed")
        batch, height, width = self._size
        model = self._model
        none = torch.empty(batch, 0, height, width, 3, dtype=model.dtype, device=model.device)
        frames = torch.cat([none, *model.decoder(pieces, self._doublers, closed)], 1)
        dropped = min(self._skip, frames.shape[1])
        self._skip -= dropped
        return rearrange(frames[:, dropped:], "b t h w c -> b c t h w")
