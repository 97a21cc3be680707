"""What a generated video begins with: tokens as they are, a video or a picture scaled to what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.generation.folder import GeneratorCard
from sweettok_cli.generation.videos import check_alike
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.packing.token_file import looks_like_tokens
from sweettok_cli.sequences.order import ClipOrder
from sweettok_cli.tokens.fault import TokenFault
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


@dataclass(frozen=True)
class Beginning:
    """The symbols with which videos begin.

    Attributes:
        clips: whole ones to go on from, int64 [n] each.
        first: symbols with which the next clip begins, int64 [k]; of a picture, else none.
        left: frames of the prompt that fill no whole clip.
    """

    clips: list[np.ndarray]
    first: np.ndarray
    left: int = 0

    @classmethod
    def of(
        cls, prompt: Tokens | None, card: GeneratorCard, clips: int | None = None, name: str | None = None
    ) -> Beginning:
        """From a prompt's tokens, if there is one.

        Args:
            prompt: as :class:`~sweettok_cli.generation.wish.Wish` has it.
            card: of the generator.
            clips: go on from so many, the first ones; None for all that are whole.
            name: of the file they are from, for messages; by default that which they name as their source.

        Raises:
            SweettokError: they are of another tokenizer, size or layout, or have no or too few whole clips.
        """
        nothing = np.zeros(0, np.int64)
        if prompt is None:
            return cls([], nothing)
        meta, code = prompt.meta, card.vocabulary
        name = name or meta.source or "given"
        try:
            _check(meta, card)
        except TokenFault as fault:
            raise SweettokError(f"The prompt {name} {fault.problem}; {fault.remedy}.") from fault
        if meta.image:
            if clips is not None:
                raise SweettokError(
                    f"The prompt {name} is a picture, which has no clips; leave out "
                    f"{option('prompt_clips', clips)}."
                )
            first = ClipOrder(code, meta.shapes, {})
            return cls([], first.write({name: array[0] for name, array in prompt.arrays.items()}))
        whole, left = divmod(meta.frames, meta.clip_frames)  # the others are filled up by their last frame
        if not whole:
            raise SweettokError(
                f"The prompt {name} has {meta.frames} frames, less than a clip of {meta.clip_frames}; give a "
                "longer one, or a picture."
            )
        if clips is not None and clips > whole:
            raise SweettokError(
                f"The prompt {name} has no {clips} whole clips of {meta.clip_frames} frames; give "
                f"{option('prompt_clips', whole)} or fewer, or a longer prompt."
            )
        return cls(card.order.clips(prompt)[:whole][:clips], nothing, left)


def _check(meta: TokenMeta, card: GeneratorCard) -> None:
    """Raise :class:`TokenFault` unless a generator can begin with tokens of this description."""
    code, like = card.vocabulary, card.like
    if not meta.image:
        check_alike(meta, like, code)
        return
    if meta.levels:
        raise TokenFault("is a picture with levels of detail", "encode it with --fixed")
    code.check(meta.family, meta.weights_sha256, meta.codebooks)
    if (meta.padded_width, meta.padded_height) != (like.padded_width, like.padded_height):
        raise TokenFault(
            f"is of {meta.padded_width}x{meta.padded_height} pixels, not {like.padded_width}x"
            f"{like.padded_height}",
            "give a picture of that size",
        )


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
