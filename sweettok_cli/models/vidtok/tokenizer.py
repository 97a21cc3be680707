"""VidTok behind the tokenizer interface: discrete codes (FSQ, VQ) and continuous latents (KL)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sweettok_cli.models.common.budget import USUAL, Budget, check_budget
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.common.network_tokenizer import NetworkTokenizer
from sweettok_cli.models.common.streams import (
    DecoderStream,
    EncoderStream,
    PieceDecoder,
    PieceEncoder,
    WaitingClips,
)
from sweettok_cli.models.vidtok.network import DecoderState, EncoderState, VidTok
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec
from sweettok_cli.video.fit import Fit


class VidTokTokenizer(NetworkTokenizer):
    """Any VidTok network.

    Version 1.1 reads a video as one stream: its convolutions go on where the piece before ended, and frames
    that depend on latents to come are held back until these are there. The result is that of the whole video
    at once, without the seams that the published ``use_tiling`` leaves.
    """

    network: VidTok

    def __init__(
        self,
        spec: TokenizerSpec,
        network: VidTok,
        device: torch.device,
        dtype: torch.dtype,
        sample: int | None = None,
    ) -> None:
        """As :class:`NetworkTokenizer`."""
        super().__init__(spec, network, device, dtype, sample)
        self.config, self.batch_clips = network.config, 1

    def encoder(self, fit: Fit, *, budget: Budget = USUAL, **options: Any) -> EncoderStream:
        """As :meth:`Tokenizer.encoder`; version 1.1 reads the video as one stream."""
        spec = self.spec
        check_budget(budget, spec)
        if spec.stream_frames is None:
            return super().encoder(fit, **options)
        assert isinstance(spec.layout, GridTokens)
        state = EncoderState(self.network)

        def encode(piece: WaitingClips) -> dict[str, Tensor]:
            return self._pushed(state, piece.whole(self.device))

        return PieceEncoder(encode, fit, spec.layout, spec.stream_frames)

    def decoder(
        self, fit: Fit, *, frames: int | None = None, clips: int | None = None, **options: Any
    ) -> DecoderStream:
        """As :meth:`Tokenizer.decoder`; version 1.1 gives back one stream, unless it was cut into clips."""
        spec = self.spec
        if spec.stream_frames is None or (clips or 1) > 1:
            return super().decoder(fit, frames=frames, clips=clips, **options)
        assert isinstance(spec.layout, GridTokens)
        decode = self._decoding(fit.padded_height, fit.padded_width)

        def decode_piece(tokens: Mapping[str, Tensor] | None) -> list[Tensor]:
            return [decode(tokens)]

        return PieceDecoder(decode_piece, fit, frames, spec.layout, spec.stream_frames)

    def code_vectors(self) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.code_vectors`."""
        if self.config.regularizer == "kl":
            return {}
        (size,) = self.spec.codebooks["indices"]
        codes = torch.arange(size, device=self.device)
        return {"codes": self.network.quantizer.indices_to_codes(codes).detach().float()}

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        """As :meth:`Tokenizer.encode_batch`."""
        return self._pushed(EncoderState(self.network), clips)

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        """As :meth:`Tokenizer.decode_batch`."""
        decode = self._decoding(height, width)
        return torch.cat([decode(tokens), decode(None)], 1)

    @torch.inference_mode()
    def _pushed(self, state: EncoderState, frames: Tensor) -> dict[str, Tensor]:
        with self.autocast():
            found = state.push(to_video(frames, reach=1.0))
            if isinstance(found, Tensor):
                return {"indices": found}
            return self.drawn(found)

    def _decoding(self, height: int, width: int) -> Callable[[Mapping[str, Tensor] | None], Tensor]:
        """A decoder with a state of its own: tokens of a piece, at last None, to uint8 [b, t, h, w, 3]."""
        state = DecoderState(self.network)
        name = "latents" if self.config.regularizer == "kl" else "indices"
        factor = self.config.space_factor
        # Version 1.1 gives back the copies of the first frame that encoding put in front of it.
        extra = self.config.time_factor - 1 if self.config.version == "1.1" else 0

        @torch.inference_mode()
        def decode(tokens: Mapping[str, Tensor] | None) -> Tensor:
            nonlocal extra
            with self.autocast():
                if tokens is None:
                    video = state.finish()
                else:
                    given = tokens[name]
                    if given.shape[-2:] != (height // factor, width // factor):
                        what = f"tokens {list(given.shape)}"
                        raise ValueError(f"{what} are not those of {width}x{height} pixels")
                    video = state.push(given.float() if given.is_floating_point() else given)
                frames = to_frames(video, reach=1.0, truncate=self.truncate)
            dropped = min(extra, frames.shape[1])
            extra -= dropped
            return frames[:, dropped:]

        return decode
