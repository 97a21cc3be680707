"""Where in the frame which words are named: the words of each region of each clip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweettok_cli.evaluation.code_counts import PARTS_OF_SPEECH
from sweettok_cli.tokens.schema import TokenMeta, Tokens


@dataclass(frozen=True)
class Region:
    """A part of the frame and what its tokens say of one clip.

    Attributes:
        left: pixels from the left.
        top: pixels from the top.
        width: pixels inside the frame; padding is not counted.
        height: pixels inside the frame.
        words: the leading word of each part of speech: adjectives, nouns, adverbs, verbs.
    """

    left: int
    top: int
    width: int
    height: int
    words: Mapping[str, str]


class WordMap:
    """The leading words of square regions, clip by clip.

    A word leads a region if its tokens name no word more often; of several such words the one leads that the
    whole file names least, because it tells the region from others. Tokens lie in raster order over the
    padded frame, each for a square of pixels: 16 wide for appearance, 8 for motion.

    Args:
        tokens: of the family sweettok.
        lists: the word behind each index, by part of speech, as long as the tokens' codebooks.
        region: side in pixels. That of the model's tiles (64) is the smallest for which it is sure that
            tokens speak of what lies in it.
    """

    def __init__(self, tokens: Tokens, lists: Mapping[str, Sequence[str]], region: int) -> None:
        self.meta, self.region = tokens.meta, region
        self._arrays, self._lists = tokens.arrays, lists
        self._counts = {
            part: np.bincount(columns.ravel(), minlength=len(lists[part]))
            for half in PARTS_OF_SPEECH
            for part, columns in _columns(half, tokens.arrays[half]).items()
        }

    def regions(self, clip: int) -> list[Region]:
        """Every region of a clip that lies at least partly inside the frame, row by row."""
        meta = self.meta
        found = []
        grids = {half: self._grid(half, clip) for half in PARTS_OF_SPEECH if meta.shapes[half][0]}
        for top in range(0, meta.height, self.region):
            for left in range(0, meta.width, self.region):
                words = {}
                for half, grid in grids.items():
                    side = meta.padded_height // grid.shape[0]
                    rows, columns = (
                        slice(start // side, max(start // side + 1, (start + self.region) // side))
                        for start in (top, left)
                    )
                    for part, indices in _columns(half, grid[rows, columns]).items():
                        words[part] = self._leading(part, indices)
                size = min(self.region, meta.width - left), min(self.region, meta.height - top)
                found.append(Region(left, top, *size, words))
        return found

    def _grid(self, half: str, clip: int) -> np.ndarray:
        """Indices of one clip, [rows, columns, 3]."""
        meta = self.meta
        side = math.isqrt(meta.padded_width * meta.padded_height // meta.shapes[half][0])
        return self._arrays[half][clip].reshape(meta.padded_height // side, meta.padded_width // side, -1)

    def _leading(self, part: str, indices: np.ndarray) -> str:
        named, counts = np.unique(indices, return_counts=True)
        order = np.lexsort((named, self._counts[part][named], -counts))
        return self._lists[part][int(named[order[0]])]


def _columns(half: str, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """The index columns of each part of speech of tokens ``[..., 3]``."""
    modifiers, heads = PARTS_OF_SPEECH[half]
    return {modifiers: tokens[..., :-1], heads: tokens[..., -1]}


def clip_of(meta: TokenMeta, frame: int) -> int:
    """Number of the clip that first holds a frame."""
    return max(0, -(-(frame + 1 - meta.clip_frames) // (meta.clip_frames - meta.overlap)))
