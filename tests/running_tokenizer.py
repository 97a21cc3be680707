"""A streaming tokenizer that needs no weights: every cell's brightness, as a change from the cell before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from einops import reduce, repeat
from torch import Tensor

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.streams import DecoderStream, EncoderStream, PieceDecoder, PieceEncoder
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec
from sweettok_cli.video.fit import Fit

LEVELS = 511


class RunningTokenizer(Tokenizer):
    """Grey in cells of 8x8 pixels and 4 frames. Indices say how much brighter a cell is than the one before
    it in time, so that a piece of a stream means nothing without all pieces before.
    """

    def __init__(self, latents: bool = False) -> None:
        self.latents = latents
        self.pieces: list[int] = []
        self.spec = TokenizerSpec(
            name="running",
            family="vidtok-kl" if latents else "vidtok-fsq",
            multiple=8,
            codebooks={} if latents else {"indices": [LEVELS]},
            weights_sha256="0123" * 16,
            layout=GridTokens(4, 8, channels=1 if latents else None),
            stream_frames=16,
        )

    def encoder(
        self,
        fit: Fit,
        *,
        image: bool = False,
        overlap: int = 0,
        batch_clips: int | None = None,
        budget: Budget = USUAL,
        look_ahead: int | None = None,
    ) -> EncoderStream:
        assert isinstance(self.spec.layout, GridTokens) and self.spec.stream_frames is not None
        encode = self._encoding()
        return PieceEncoder(
            lambda clips: encode(clips.whole().numpy()), fit, self.spec.layout, self.spec.stream_frames
        )

    def decoder(
        self,
        fit: Fit,
        *,
        overlap: int = 0,
        frames: int | None = None,
        clips: int | None = None,
        batch_clips: int | None = None,
    ) -> DecoderStream:
        assert isinstance(self.spec.layout, GridTokens) and self.spec.stream_frames is not None
        decode = self._decoding(fit.padded_height, fit.padded_width)
        return PieceDecoder(
            lambda tokens: [decode(tokens)], fit, frames, self.spec.layout, self.spec.stream_frames
        )

    def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
        return self._encoding()(clips.numpy())

    def decode_batch(self, tokens: Mapping[str, Tensor], height: int, width: int) -> Tensor:
        return self._decoding(height, width)(tokens)

    def _encoding(self) -> Callable[[np.ndarray], dict[str, Tensor]]:
        last: np.ndarray | None = None

        def encode(piece: np.ndarray) -> dict[str, Tensor]:
            nonlocal last
            self.pieces.append(piece.shape[1])
            grey = reduce(piece.astype(float), "b t (h p) (w q) c -> b t h w", "mean", p=8, q=8)
            parts = [] if last is not None else [grey[:, :1]]
            rest = grey[:, len(parts) :]
            if rest.shape[1]:
                parts.append(reduce(rest, "b (t f) h w -> b t h w", "mean", f=4))
            cells = np.rint(np.concatenate(parts, axis=1))
            before = np.zeros_like(cells[:, :1]) if last is None else last
            change = torch.from_numpy(np.diff(cells, axis=1, prepend=before))
            last = cells[:, -1:]
            if self.latents:
                return {"latents": change[:, None].half()}
            return {"indices": change.long() + LEVELS // 2}

        return encode

    def _decoding(self, height: int, width: int) -> Callable[[Mapping[str, Tensor] | None], Tensor]:
        last: np.ndarray | None = None

        def decode(tokens: Mapping[str, Tensor] | None) -> Tensor:
            nonlocal last
            if tokens is None:
                return torch.empty(1, 0, height, width, 3, dtype=torch.uint8)
            change = (
                tokens["latents"][:, 0].double().numpy()
                if self.latents
                else tokens["indices"].double().numpy() - LEVELS // 2
            )
            cells = np.cumsum(change, axis=1) + (0 if last is None else last)
            times = [4] * cells.shape[1]
            if last is None:
                times[0] = 1
            last = cells[:, -1:]
            frames = repeat(np.repeat(cells, times, axis=1), "b t h w -> b t (h p) (w q) c", p=8, q=8, c=3)
            assert frames.shape[2:4] == (height, width)
            return torch.from_numpy(frames.clip(0, 255).astype(np.uint8))

        return decode
