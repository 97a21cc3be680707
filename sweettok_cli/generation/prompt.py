"""What a generated video begins with: tokens as they are, a video or a picture scaled to what was learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.packing.token_file import looks_like_tokens
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.video.reader import VideoReader
from sweettok_cli.zoo.token_files import read_tokens


def is_tokens(path: Path) -> bool:
    """Whether a prompt is a token file, which needs no tokenizer."""
    return looks_like_tokens(path)


def read_prompt(path: Path, like: TokenMeta, tokenizer: Tokenizer | None) -> Tokens:
    """The tokens of a prompt.

    Args:
        path: of a token file, a video or a picture. Frames of another size than those that were learned are
            scaled until their shorter side is as long, and cut in the middle.
        like: clips that were learned.
        tokenizer: that made these; needed for what is no token file.

    Raises:
        SweettokError: it cannot be read.
    """
    if tokenizer is None:
        return read_tokens(path)
    with VideoReader(path) as reader:
        image = reader.info.is_image
        frames = np.stack([_fitted(frame.rgb, like.padded_width, like.padded_height) for frame in reader])
        rate = None if image else reader.info.rate
    fixed = Budget(fixed=True) if tokenizer.spec.levels and (image or not like.levels) else USUAL
    return tokenizer.encode(frames[0] if image else frames, rate=rate, budget=fixed)


def _fitted(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame, uint8 [h, w, 3], scaled and cut to a size."""
    from PIL import Image

    h, w = frame.shape[:2]
    if (w, h) == (width, height):
        return frame
    scale = max(width / w, height / h)
    size = max(width, round(w * scale)), max(height, round(h * scale))
    scaled = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])
