"""Fixed clips a run looks at from time to time: sample grids and the validation figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sweettok_cli.data.clips import Entry
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.reader import read_clip

VALIDATION_SIDE = 256


def centre_clip(entry: Entry, count: int, side: int) -> np.ndarray:
    """First ``count`` frames of a clip, their middle ``side`` x ``side`` or less: uint8 [count, h, w, 3].

    Raises:
        SweettokError: the clip cannot be read or has no frame.
    """
    frames = read_clip(entry.source(), 0, count)
    if len(frames) == 0:
        raise SweettokError(f"{entry.name} has no frames; repair or remove it.")
    h, w = min(side, frames.shape[1]), min(side, frames.shape[2])
    y, x = (frames.shape[1] - h) // 2, (frames.shape[2] - w) // 2
    cut = frames[:, y : y + h, x : x + w]
    return np.concatenate([cut, np.repeat(cut[-1:], count - len(cut), axis=0)])


def pad_to_multiple(frames: np.ndarray, multiple: int) -> np.ndarray:
    """Continue frames [t, h, w, 3] at the right and bottom edge until their sides are multiples."""
    height, width = frames.shape[1:3]
    return Fit.to_multiple(width, height, multiple).pad(frames)


class SampleGrid:
    """Some clips drawn beside what the network makes of them: a row a clip, pairs of source | result.

    Of each clip the network is given as many ``frames``, of their middle at most ``side`` pixels, padded to
    multiples of ``multiple``.
    """

    def __init__(self, entries: Sequence[Entry], frames: int, side: int, multiple: int):
        clips = [pad_to_multiple(centre_clip(entry, frames, side), multiple) for entry in entries]
        size = [max(clip.shape[axis] for clip in clips) for axis in (1, 2)]
        lacks = [(size[0] - clip.shape[1], size[1] - clip.shape[2]) for clip in clips]
        pads = [((0, 0), (0, lack_h), (0, lack_w), (0, 0)) for lack_h, lack_w in lacks]
        self.clips = np.stack([np.pad(clip, pad, mode="edge") for clip, pad in zip(clips, pads, strict=True)])
        self.shown = sorted({0, frames // 2, frames - 1})

    def draw(self, reconstruct: Callable[[np.ndarray], np.ndarray], path: Path) -> None:
        """Reconstruct the clips (uint8 [b, t, h, w, 3] to the same) and write the grid as PNG."""
        from PIL import Image

        made = np.concatenate([reconstruct(self.clips[i : i + 1]) for i in range(len(self.clips))])
        rows = [
            np.concatenate([picture for t in self.shown for picture in (clip[t], result[t])], axis=1)
            for clip, result in zip(self.clips, made, strict=True)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(path, force=True) as part:
            Image.fromarray(np.concatenate(rows, axis=0)).save(part, format="PNG")


def validation_psnr(
    entries: Sequence[Entry], count: int, multiple: int, reconstruct: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Mean over clips of the mean PSNR in dB of their first ``count`` frames, centre 256x256, in 8 bit.

    ``reconstruct`` is given frames padded to multiples of ``multiple`` pixels; the padding does not count.
    """
    figures = []
    for entry in entries:
        source = centre_clip(entry, count, VALIDATION_SIDE)
        made = reconstruct(pad_to_multiple(source, multiple)[None])[0]
        made = made[:, : source.shape[1], : source.shape[2]]
        figures.append(float(np.mean([psnr(a, b) for a, b in zip(source, made, strict=True)])))
    return float(np.mean(figures))
