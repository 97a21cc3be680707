"""A picture for the eye: source, reconstruction and their amplified difference, next to one another."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (18, 20, 24)
TEXT = (232, 234, 237)
FAINT = (150, 156, 165)

NARROWEST_PANEL = 224  # room for a label; frames narrower than that are shown in larger pixels
LARGEST_SIDE = 1280  # larger frames are shown smaller: players give up on pictures too wide


class SideBySide:
    """Draws the three panels of one video of ``width`` x ``height`` pixels, all frames alike.

    The difference is shown larger by the factor ``gain``. The attributes ``width`` and ``height`` are those
    of the drawn picture: even, as H.264 likes it.
    """

    def __init__(self, width: int, height: int, gain: float = 4.0) -> None:
        self.gain = gain
        larger = min(-(-NARROWEST_PANEL // width), LARGEST_SIDE // height)
        scale = larger if larger > 1 else min(1.0, LARGEST_SIDE / max(width, height))
        self.shown = max(1, round(width * scale)), max(1, round(height * scale))
        self.resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        self.panel_width = max(NARROWEST_PANEL, self.shown[0])

        self.font_size = min(28, max(13, self.panel_width // 24))
        self.font = ImageFont.load_default(self.font_size)
        self.gap = self.font_size // 2
        self.header = self.font_size * 2
        self.width = _even(3 * self.panel_width + 4 * self.gap)
        self.height = _even(self.header + self.shown[1] + self.gap)

    def draw(
        self, source: np.ndarray, reconstruction: np.ndarray, note: str = "", name: str = ""
    ) -> np.ndarray:
        """The picture, uint8 ``[self.height, self.width, 3]``, for a pair of frames, uint8 ``[h, w, 3]``.

        ``note``, such as the PSNR, follows the reconstruction's label, ``name`` the source's; what has no
        room is left out.
        """
        picture = Image.new("RGB", (self.width, self.height), BACKGROUND)
        pen = ImageDraw.Draw(picture)
        panels = (
            ("source", name, source),
            ("reconstruction", note, reconstruction),
            (f"difference x{self.gain:g}", "", difference(source, reconstruction, self.gain)),
        )
        for number, (label, after, frame) in enumerate(panels):
            left = self.gap + number * (self.panel_width + self.gap)
            self._label(pen, left, label, after)
            panel = Image.fromarray(frame)
            if panel.size != self.shown:
                panel = panel.resize(self.shown, self.resampling)
            picture.paste(panel, (left + (self.panel_width - self.shown[0]) // 2, self.header))
        return np.asarray(picture)

    def _label(self, pen: ImageDraw.ImageDraw, left: int, label: str, after: str) -> None:
        middle = self.header // 2
        pen.text((left, middle), label, TEXT, self.font, anchor="lm")
        start = pen.textlength(label, self.font) + self.font_size
        # Beside its own label and apart from the next panel's, which begins where this panel ends.
        if after and start + pen.textlength(after, self.font) + 2 * self.font_size <= self.panel_width:
            pen.text((left + start, middle), after, FAINT, self.font, anchor="lm")


def difference(source: np.ndarray, reconstruction: np.ndarray, gain: float) -> np.ndarray:
    """``gain`` times (reconstruction - source) around grey: uint8 ``[h, w, 3]``, 128 where they agree."""
    error = reconstruction.astype(np.float32) - source
    return np.clip(np.rint(128 + gain * error), 0, 255).astype(np.uint8)


def _even(size: int) -> int:
    return size + size % 2
