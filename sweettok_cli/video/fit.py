"""Fit a picture to the model's grid by padding, and undo it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """A picture's size and the size it has once padded to the grid, in pixels."""

    width: int
    height: int
    padded_width: int
    padded_height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {self.width}x{self.height} is empty")
        if self.padded_width < self.width or self.padded_height < self.height:
            raise ValueError(
                f"{self.width}x{self.height} does not fit into {self.padded_width}x{self.padded_height}"
            )

    @classmethod
    def to_multiple(cls, width: int, height: int, multiple: int) -> Fit:
        """The smallest size that holds the picture and whose sides are multiples of ``multiple``."""
        if multiple < 1:
            raise ValueError(f"the grid must be at least 1 pixel, not {multiple}")
        return cls(width, height, -(-width // multiple) * multiple, -(-height // multiple) * multiple)

    def pad(self, batch: np.ndarray) -> np.ndarray:
        """Repeat the last column and row: [..., height, width, 3] -> [..., padded_height, padded_width, 3].

        Repeated edges keep the border tiles free of an artificial step, which would cost tokens to describe.
        """
        if batch.shape[-3:-1] != (self.height, self.width):
            raise ValueError(f"expected {self.height} rows of {self.width} pixels, got {batch.shape}")
        below, right = self.padded_height - self.height, self.padded_width - self.width
        if not below and not right:
            return batch
        still = [(0, 0)] * (batch.ndim - 3)
        return np.pad(batch, [*still, (0, below), (0, right), (0, 0)], mode="edge")

    def pad_rows(self, frame: np.ndarray, start: int, out: np.ndarray) -> None:
        """Fill ``out`` [rows, padded_width, 3] with rows of a padded frame, from row ``start`` on."""
        rows = frame[start : start + len(out)]
        out[: len(rows), : self.width] = rows
        out[len(rows) :, : self.width] = frame[-1]
        out[:, self.width :] = out[:, self.width - 1 : self.width]

    def crop(self, batch: np.ndarray) -> np.ndarray:
        """Undo :meth:`pad`: [..., padded_height, padded_width, 3] -> [..., height, width, 3] (a view)."""
        if batch.shape[-3:-1] != (self.padded_height, self.padded_width):
            raise ValueError(
                f"expected {self.padded_height} rows of {self.padded_width} pixels, got {batch.shape}"
            )
        return batch[..., : self.height, : self.width, :]
