"""Encoding and decoding piece by piece: what outlives a piece is in the stream, nothing is in the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor

from sweettok_cli.models.vidtok.memory import FrameMemory, Piece
from sweettok_cli.models.vidtok.regularizers import GaussianLatents

if TYPE_CHECKING:
    from sweettok_cli.models.vidtok.network import VidTok

#: How a decoder stream treats the seams between pushes.
SEAMS = ("none", "tiled", "overlapped")


class EncoderStream:
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


class DecoderStream:
    """Latents of one video in, frames out.

    ``seams`` says what happens between pushes of networks that interpolate in time (version 1.1), where the
    last frames of a push depend on latents to come:

    - ``"none"``: such frames are held back. The frames are those of :meth:`VidTok.decode` on all latents at
      once, however they are cut.
    - ``"tiled"``: nothing is held back, as in the published code with ``use_tiling``.
    - ``"overlapped"``: each push is held back until the next one, whose first latent lends it its right
      neighbours, as in the published code with ``use_tiling`` and ``use_overlap``.

    The last two are published for a first push of one latent and then ``16 / config.time_factor`` each. Cut
    like that, and with the random weights of the golden tensors, frames of up to 2.5 differ from those of
    :meth:`VidTok.decode` by at most 0.17 (488) and 0.27 (888) when tiled, by 0.007 and 0.015 when overlapped,
    and by 1.6e-5, which is rounding, with ``"none"``. Tiled, each push ends without a right neighbour, and
    from the third on its left neighbour is a frame one latent too early; overlapped, only the second push
    has a wrong left neighbour.

    Version 1.0 repeats frames instead: nothing is held back, and ``seams`` make no difference.
    """

    def __init__(self, model: VidTok, seams: str = "none") -> None:
        if seams not in SEAMS:
            raise ValueError(f"seams are one of {', '.join(SEAMS)}, not {seams!r}")
        config = model.config
        self._model = model
        self._seams = seams if config.interpolates else "none"
        self._memory = FrameMemory()
        self._doublers = model.decoder.doublers(tiled=seams != "none")
        self._held: Tensor | None = None
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
        if self._seams != "overlapped":
            return self._run([Piece(latents, self._memory)], closed=False)
        held, self._held = self._held, latents
        if held is None:
            return self._run([], closed=False)
        ahead = Piece(latents[:, :1], self._memory.fork())
        return self._run([Piece(held, self._memory), ahead], closed=False)

    def finish(self) -> Tensor:
        """The frames [b, 3, t, h, w] that were held back, possibly none; nothing may be pushed after it."""
        pieces = [] if self._held is None else [Piece(self._held, self._memory)]
        self._held = None
        return self._run(pieces, closed=True)

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
