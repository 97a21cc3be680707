"""The one interface every video tokenizer stands behind: clips in, index arrays out, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class TokenizerSpec:
    """What the rest of the program has to know about a tokenizer to use it.

    Attributes:
        name: the model's name, as written into token files and given to ``--model``.
        family: which arrays its tokens are made of; a key of :data:`sweettok_cli.tokens.schema.FAMILIES`.
        clip_frames: frames in one clip.
        multiple: frame width and height must be multiples of this many pixels.
        codebooks: sizes of the codebook behind each index column, e.g.
            ``{"spatial": [n_adjectives, n_adjectives, n_nouns], "temporal": [...]}``.
        weights_sha256: of the weights file, lower-case hex; token files decode only with the same weights.
        images: whether a single image can be encoded (a clip of one frame through the spatial half).
        tokens_per_tile: tokens of each array for one ``multiple`` x ``multiple`` tile of a clip. The default
            is 256 spatial and 1024 temporal tokens at 256x256 (SweetTok, section 3).
    """

    name: str
    family: str = "sweettok"
    clip_frames: int = 17
    multiple: int = 64
    codebooks: Mapping[str, list[int]] = field(default_factory=dict)
    weights_sha256: str = ""
    images: bool = True
    tokens_per_tile: Mapping[str, int] = field(default_factory=lambda: {"spatial": 16, "temporal": 64})

    def tokens_per_clip(self, height: int, width: int, image: bool = False) -> dict[str, int]:
        """Tokens in each array of one clip of ``height`` x ``width`` (padded) pixels.

        An image has no motion, hence no temporal tokens.
        """
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"{width}x{height} is not a multiple of {self.multiple} pixels")
        tiles = (height // self.multiple) * (width // self.multiple)
        counts = {name: count * tiles for name, count in self.tokens_per_tile.items()}
        if image:
            counts["temporal"] = 0
        return counts

    def clip_shapes(self, height: int, width: int, image: bool = False) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one clip, without the leading clip axis: ``{"spatial": (256, 3), ...}``."""
        counts = self.tokens_per_clip(height, width, image)
        return {name: (count, len(self.codebooks[name])) for name, count in counts.items()}


class Tokenizer(ABC):
    """A loaded model. Device and number format were fixed when it was loaded; arrays here are plain NumPy."""

    spec: TokenizerSpec
    #: Clips to give :meth:`encode` and :meth:`decode` at once when the caller has no opinion.
    batch_clips: int = 1

    @abstractmethod
    def encode(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Index arrays of a batch of clips.

        Args:
            clips: uint8 RGB ``[b, t, h, w, 3]``, ``h`` and ``w`` multiples of ``spec.multiple``; ``t`` is
                ``spec.clip_frames``, or 1 for images.

        Returns:
            One array a name, ``[b, *spec.clip_shapes(h, w)[name]]``. For SweetTok: uint16 ``spatial``
            ``[b, S, 3]`` and ``temporal`` ``[b, T, 3]``, columns modifier, modifier, head; ``T`` is 0 for
            an image.
        """

    @abstractmethod
    def decode(self, arrays: Mapping[str, np.ndarray], height: int, width: int) -> np.ndarray:
        """Clips from index arrays: the inverse of :meth:`encode`.

        Args:
            arrays: as :meth:`encode` returns them, in the range of the codebooks.
            height: of the padded frames, in pixels.
            width: of the padded frames, in pixels.

        Returns:
            uint8 RGB ``[b, t, height, width, 3]``; ``t`` is 1 where there are no temporal tokens.
        """
