"""A streaming tokenizer that needs no weights: every cell's brightness, as a change from the cell before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from einops import reduce, repeat

from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec

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

    def encode_clips(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        return next(self.encode_stream([clips]))

    def decode_clips(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        return next(self.decode_stream([arrays], height, width))

    def encode_stream(self, pieces: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        last: np.ndarray | float | None = None
        for piece in pieces:
            self.pieces.append(piece.shape[1])
            grey = reduce(piece.astype(float), "b t (h p) (w q) c -> b t h w", "mean", p=8, q=8)
            parts = [] if last is not None else [grey[:, :1]]
            rest = grey[:, len(parts) :]
            if rest.shape[1]:
                parts.append(reduce(rest, "b (t f) h w -> b t h w", "mean", f=4))
            cells = np.rint(np.concatenate(parts, axis=1))
            before = np.zeros_like(cells[:, :1]) if last is None else last
            change = np.diff(cells, axis=1, prepend=before)
            last = cells[:, -1:]
            if self.latents:
                yield {"latents": change[:, None].astype(np.float16)}
            else:
                yield {"indices": (change + LEVELS // 2).astype(np.uint16)}

    def decode_stream(
        self, arrays: Iterable[Mapping[str, np.ndarray]], height: int, width: int
    ) -> Iterator[np.ndarray]:
        last: np.ndarray | None = None
        for piece in arrays:
            change = (
                piece["latents"][:, 0].astype(float)
                if self.latents
                else piece["indices"].astype(float) - LEVELS // 2
            )
            cells = np.cumsum(change, axis=1) + (0 if last is None else last)
            times = [4] * cells.shape[1]
            if last is None:
                times[0] = 1
            last = cells[:, -1:]
            frames = repeat(np.repeat(cells, times, axis=1), "b t h w -> b t (h p) (w q) c", p=8, q=8, c=3)
            assert frames.shape[2:4] == (height, width)
            yield frames.clip(0, 255).astype(np.uint8)
