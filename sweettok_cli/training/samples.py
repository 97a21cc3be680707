"""Fixed clips a run looks at from time to time: sample sheets and the validation figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.data.stretch import read_stretch
from sweettok_cli.files import atomic_output
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.video.fit import Fit
from sweettok_cli.video.info import DEFAULT_RATE
from sweettok_cli.video.side_by_side import SideBySide, difference
from sweettok_cli.video.writer import VideoWriter

VALIDATION_SIDE = 256
_GAIN = 4  # by which differences are shown larger, around grey
_CRF = 20  # of the video: to look at, figures are taken before
_FASTEST = 1000  # frames a second that a header is believed


def centre_clip(entry: Entry, count: int, side: int) -> np.ndarray:
    """First ``count`` frames of a clip, their middle ``side`` x ``side`` or less: uint8 [count, h, w, 3].

    Raises:
        SweettokError: the clip cannot be read or has no frame.
    """
    facts = entry.declared() if entry.is_part else Facts(count, 1.0)  # a beginning needs no length
    frames = read_stretch(entry, facts, 0.0, count)
    h, w = min(side, frames.shape[1]), min(side, frames.shape[2])
    y, x = (frames.shape[1] - h) // 2, (frames.shape[2] - w) // 2
    return frames[:, y : y + h, x : x + w]


def shown_rate(entry: Entry) -> Fraction:
    """Frames a second of a clip, as its header or an index has it."""
    rate = entry.declared().rate
    return Fraction(rate).limit_denominator(1001) if 0 < rate <= _FASTEST else DEFAULT_RATE


def pad_to_multiple(frames: np.ndarray, multiple: int) -> np.ndarray:
    """Continue frames [t, h, w, 3] at the right and bottom edge until their sides are multiples."""
    height, width = frames.shape[1:3]
    return Fit.to_multiple(width, height, multiple).pad(frames)


_TITLE, _FONT = 18, 11  # pixels: height of a line of text above a row, size of its letters


class SampleSheet:
    """Some clips drawn beside what the network makes of them: a row a clip, source | result | difference.

    ``clips``, uint8 [t, h, w, 3] of one length by name, are padded to multiples of ``multiple``. Those that
    have a rate in ``rates``, frames a second, are also shown moving, one after the other.
    """

    def __init__(
        self, clips: Mapping[str, np.ndarray], multiple: int, rates: Mapping[str, Fraction] | None = None
    ):
        padded = [pad_to_multiple(clip, multiple) for clip in clips.values()]
        size = [max(clip.shape[axis] for clip in padded) for axis in (1, 2)]
        lacks = [(size[0] - clip.shape[1], size[1] - clip.shape[2]) for clip in padded]
        pads = [((0, 0), (0, lack_h), (0, lack_w), (0, 0)) for lack_h, lack_w in lacks]
        self.names, self.sizes = list(clips), [clip.shape[1:3] for clip in clips.values()]
        self.clips = np.stack(
            [np.pad(clip, pad, mode="edge") for clip, pad in zip(padded, pads, strict=True)]
        )
        frames = self.clips.shape[1]
        self.shown = sorted({0, frames // 2, frames - 1})
        self.rates = dict(rates or {}) if frames > 1 else {}

    def draw(self, reconstruct: Callable[[np.ndarray], np.ndarray], path: Path, step: int) -> list[Path]:
        """Reconstruct the clips (uint8 [b, t, h, w, 3] to the same); returns the files that show them.

        They are ``path`` with .png, the sheet, and with .mp4 where clips move. The sheet says its ``step``,
        and above each row the mean PSNR of all frames of the clip and its name.
        """
        made = np.stack([reconstruct(clip[None])[0] for clip in self.clips])
        sheet = path.with_suffix(".png")
        sheet.parent.mkdir(parents=True, exist_ok=True)
        self._draw_sheet(made, sheet, step)
        if not self.rates:
            return [sheet]
        film = path.with_suffix(".mp4")
        self._draw_film(made, film)
        return [sheet, film]

    def _draw_sheet(self, made: np.ndarray, path: Path, step: int) -> None:
        numbers = ", ".join(str(t + 1) for t in self.shown)
        rows = []
        for name, (h, w), clip, back in zip(self.names, self.sizes, self.clips, made, strict=True):
            caption = f"{mean_psnr(clip[:, :h, :w], back[:, :h, :w]):.2f} dB   {name}"
            panels = [
                panel for t in self.shown for panel in (clip[t], back[t], difference(clip[t], back[t], _GAIN))
            ]
            rows.append((caption, np.concatenate(panels, axis=1)))
        write_sheet(path, f"step {step}   source | result | difference x{_GAIN}, frames {numbers}", rows)

    def _draw_film(self, made: np.ndarray, path: Path) -> None:
        """Each moving clip at its own rate, its name and each frame's PSNR above it."""
        h, w = (max(size[axis] for size in self.sizes) for axis in (0, 1))
        drawer, times = SideBySide(w, h, _GAIN), [Fraction(0)]
        for rate in self.rates.values():
            times += [times[-1] + number / rate for number in range(1, self.clips.shape[1] + 1)]
        first, steady = next(iter(self.rates.values())), len(set(self.rates.values())) == 1
        shown = None if steady else times[:-1]
        with VideoWriter(
            path, drawer.width, drawer.height, first, crf=_CRF, times=shown, force=True
        ) as writer:
            for name, size, clip, back in zip(self.names, self.sizes, self.clips, made, strict=True):
                if name not in self.rates:
                    continue
                for source, result in zip(clip, back, strict=True):
                    value = psnr(source[: size[0], : size[1]], result[: size[0], : size[1]])
                    panels = source[:h, :w], result[:h, :w]
                    writer.write(drawer.draw(*panels, f"{value:.2f} dB", Path(name).stem))


def write_sheet(path: Path, title: str, rows: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write a picture: a title, and below it rows of one height, uint8 [h, w, 3], each under its caption."""
    from PIL import Image, ImageDraw, ImageFont

    height = rows[0][1].shape[0]
    font = ImageFont.load_default(_FONT)
    across = max(*(picture.shape[1] for _, picture in rows), math.ceil(font.getlength(title)) + 2 * 4)
    sheet = Image.new("RGB", (across, _TITLE + len(rows) * (_TITLE + height)))
    draw = ImageDraw.Draw(sheet)
    draw.text((4, 2), title, font=font)
    for row, (caption, picture) in enumerate(rows):
        top = _TITLE + row * (_TITLE + height)
        draw.text((4, top + 2), caption, font=font)
        sheet.paste(Image.fromarray(picture), (0, top + _TITLE))
    with atomic_output(path, force=True) as part:
        sheet.save(part, format="PNG")


def mean_psnr(source: np.ndarray, made: np.ndarray) -> float:
    """Mean over frames of the PSNR in dB of two clips, uint8 [t, h, w, 3]."""
    return float(np.mean([psnr(a, b) for a, b in zip(source, made, strict=True)]))


def validation_psnr(
    clips: Iterable[np.ndarray], multiple: int, reconstruct: Callable[[np.ndarray], np.ndarray]
) -> list[float]:
    """Of each clip, uint8 [t, h, w, 3], the mean PSNR in dB of its frames, in 8 bit.

    ``reconstruct`` is given frames padded to multiples of ``multiple`` pixels; the padding does not count.
    """
    figures = []
    for source in clips:
        made = reconstruct(pad_to_multiple(source, multiple)[None])[0]
        figures.append(mean_psnr(source, made[:, : source.shape[1], : source.shape[2]]))
    return figures
