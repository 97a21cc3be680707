"""Where in the frame words fire, and a video with them written on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import check_ending
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.arrays import PARTS_OF_SPEECH
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import clip_ends, counts_name, square_side
from sweettok_cli.video.images import WRITTEN, write_image
from sweettok_cli.video.reader import VideoReader
from sweettok_cli.video.writer import VIDEO_ENDINGS, VideoWriter
from sweettok_cli.words.counts import WordCounts


@dataclass(frozen=True)
class Region:
    """A part of the frame, in pixels without padding, and what its tokens say of one clip.

    ``words`` has the leading word of each part of speech: adjectives and nouns; adverbs and verbs, too, where
    there are temporal tokens.
    """

    left: int
    top: int
    width: int
    height: int
    words: Mapping[str, str]


class WordMap:
    """The leading words of square regions, clip by clip.

    A word leads a region if its tokens name no word more often; of several such words the one leads that the
    whole file names least, because it tells the region from others. Positions lie in raster order over the
    padded frame, each for a square of pixels: 16 wide for appearance, 8 for motion; one that has no token
    says nothing. Tokens of detail are left out: they correct a part of a square for a few frames, and do not
    speak for it.

    Args:
        tokens: of the family sweettok.
        counts: of all their words.
        region: side in pixels; tokens surely speak of what lies in it from the model's tiles on upwards.
    """

    def __init__(self, tokens: Tokens, counts: WordCounts, region: int) -> None:
        self.meta, self.region = tokens.meta, region
        self._arrays, self._counts = tokens.arrays, counts
        self._ends = {
            half: clip_ends(tokens.arrays[counts_name(half)])
            for half in PARTS_OF_SPEECH
            if half in tokens.meta.levels
        }

    def regions(self, clip: int) -> list[Region]:
        """Every region of a clip that lies at least partly inside the frame, row by row."""
        meta, found = self.meta, []
        grids = {half: self._grid(half, clip) for half in PARTS_OF_SPEECH if meta.shapes[half][0]}
        for top in range(0, meta.height, self.region):
            for left in range(0, meta.width, self.region):
                words = {}
                for half, (grid, there) in grids.items():
                    side = meta.padded_height // grid.shape[0]
                    rows, columns = (
                        slice(start // side, max(start // side + 1, (start + self.region) // side))
                        for start in (top, left)
                    )
                    named = grid[rows, columns][there[rows, columns]]  # [tokens, 3]
                    if not len(named):
                        continue
                    modifiers, heads = PARTS_OF_SPEECH[half]
                    words[modifiers] = self._leading(modifiers, named[:, :-1])
                    words[heads] = self._leading(heads, named[:, -1])
                size = min(self.region, meta.width - left), min(self.region, meta.height - top)
                found.append(Region(left, top, *size, words))
        return found

    def _grid(self, half: str, clip: int) -> tuple[np.ndarray, np.ndarray]:
        """First tokens of one clip, [rows, columns, 3], and where there are any, [rows, columns]."""
        meta, (positions, indices) = self.meta, self.meta.shapes[half]
        side = square_side(positions, meta.padded_height, meta.padded_width)
        shape = meta.padded_height // side, meta.padded_width // side
        if half not in meta.levels:
            return self._arrays[half][clip].reshape(*shape, indices), np.ones(shape, bool)
        there = self._arrays[counts_name(half)][clip] > 0
        first = np.zeros((positions, indices), self._arrays[half].dtype)
        begin = self._ends[half][clip]
        first[there] = self._arrays[half][begin : begin + np.count_nonzero(there)]
        return first.reshape(*shape, indices), there.reshape(shape)

    def _leading(self, part: str, indices: np.ndarray) -> str:
        named, counts = np.unique(indices, return_counts=True)
        order = np.lexsort((named, self._counts.counts[part][named], -counts))
        return self._counts.words[part][int(named[order[0]])]


def clip_of(meta: TokenMeta, frame: int) -> int:
    """Number of the clip that first holds a frame."""
    return max(0, -(-(frame + 1 - meta.clip_frames) // (meta.clip_frames - meta.overlap)))


SEEN, MOVING = (255, 255, 255), (255, 214, 92)
_SHADE, _EDGE = (8, 10, 14, 150), (255, 255, 255, 70)
_REGION_PIXELS = 176  # of a region as drawn: room for two words
_LARGEST_SIDE = 1920
_LARGEST_FONT, _SMALLEST_FONT = 17, 9
_LEAST_VISIBLE = 0.4  # of a region; words of less have no room
_LEAST_CHANGE = 2.0  # of a pixel from frame to frame, in 8-bit steps: about what noise reaches


class WordOverlay:
    """Draws the words of one clip at a time, on frames of the even size ``width`` x ``height``.

    Each region names its adjective and noun; where the source moves, also its adverb and verb.
    """

    def __init__(self, words: WordMap) -> None:
        meta = words.meta
        most = _LARGEST_SIDE / max(meta.width, meta.height)
        self._scale = max(1.0, min(_REGION_PIXELS / words.region, most))
        self.words = words
        self.width, self.height = (round(side * self._scale / 2) * 2 for side in (meta.width, meta.height))

    def draw(self, clip: int, frames: list[np.ndarray]) -> Iterator[np.ndarray]:
        """The frames of a clip, uint8 ``[h, w, 3]``, larger and with its words."""
        sheet = self._sheet(self.words.regions(clip), _change(frames))
        for frame in frames:
            picture = Image.fromarray(frame).resize((self.width, self.height), Image.Resampling.BICUBIC)
            picture.paste(sheet, (0, 0), sheet)
            yield np.asarray(picture)

    def _sheet(self, regions: list[Region], change: np.ndarray | None) -> Image.Image:
        """Words on nothing: the same for all frames of a clip."""
        sheet = Image.new("RGBA", (self.width, self.height))
        pen = ImageDraw.Draw(sheet)
        for region in regions:
            ends = region.left, region.top, region.left + region.width, region.top + region.height
            box = [round(end * self._scale) for end in ends]
            pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline=_EDGE)
            if min(region.width, region.height) < _LEAST_VISIBLE * self.words.region:
                continue
            lines = [(f"{region.words['adjectives']} {region.words['nouns']}", SEEN)]
            if change is not None and "verbs" in region.words and _moves(region, change):
                lines.append((f"{region.words['adverbs']} {region.words['verbs']}", MOVING))
            _write(pen, box, lines)
        return sheet


def _change(frames: list[np.ndarray]) -> np.ndarray | None:
    """Mean change of each pixel from frame to frame, float ``[h, w]``; None for a single frame."""
    if len(frames) < 2:
        return None
    grey = [frame.mean(axis=-1, dtype=np.float32) for frame in frames]
    return np.asarray(sum(np.abs(after - before) for before, after in pairwise(grey)) / (len(frames) - 1))


def _moves(region: Region, change: np.ndarray) -> bool:
    rows = slice(region.top, region.top + region.height)
    return bool(change[rows, region.left : region.left + region.width].mean() >= _LEAST_CHANGE)


def _write(pen: ImageDraw.ImageDraw, box: list[int], lines: list[tuple[str, tuple[int, int, int]]]) -> None:
    """Lines at the bottom of a box, on a shade that keeps them legible."""
    left, top, right, bottom = box
    room = right - left - 8
    fonts = [_font(text, room) for text, _ in lines]
    height = sum(round(font.size * 1.35) for font in fonts) + 4
    pen.rectangle((left + 1, max(top + 1, bottom - height), right - 2, bottom - 2), fill=_SHADE)
    y = bottom - height + 2
    for (text, colour), font in zip(lines, fonts, strict=True):
        step = round(font.size * 1.35)
        pen.text(((left + right) / 2, y + step / 2), _shortened(text, font, room), colour, font, anchor="mm")
        y += step


def _font(text: str, room: int) -> ImageFont.FreeTypeFont:
    for size in range(_LARGEST_FONT, _SMALLEST_FONT, -1):
        font = ImageFont.load_default(size)
        if font.getlength(text) <= room:
            break
    return font  # type: ignore[return-value]


def _shortened(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    while font.getlength(text) > room and len(text) > 2:
        text = text.rstrip("\u2026")[:-1] + "\u2026"
    return text


def write_overlay(
    words: WordMap, source: Path, out: Path, *, force: bool = False, on_progress: OnProgress | None = None
) -> None:
    """Write the source with its words as a video, or as a picture where it is one.

    Args:
        words: of the source's tokens.
        source: what they were made from.
        out: .mp4, .m4v or .mov for a video, .png or another picture's ending for a picture.
        force: replace an existing file.
        on_progress: called with the frames done and in all.

    Raises:
        SweettokError: the source is not that of the tokens, or a file cannot be read or written.
    """
    meta = words.meta
    check_ending(out, sorted(WRITTEN) if meta.image else VIDEO_ENDINGS)
    overlay = WordOverlay(words)
    # As far as the tokens go, which is checked.
    with VideoReader(source, keep_going=True, selection=meta.selection) as reader:
        info = reader.info
        if (info.width, info.height, info.is_image) != (meta.width, meta.height, meta.image):
            raise _other_source(source)
        frames = (frame.rgb for frame in reader)
        drawn = _drawn(overlay, frames, source, on_progress)
        if meta.image:
            write_image(out, next(drawn), force=force)
            return
        size = overlay.width, overlay.height
        ratio, times = meta.sample_aspect_ratio, meta.frame_times()
        with VideoWriter(
            out, *size, meta.rate, times=times, sample_aspect_ratio=ratio, force=force
        ) as writer:
            for picture in drawn:
                writer.write(picture)


def _drawn(
    overlay: WordOverlay, frames: Iterator[np.ndarray], source: Path, on_progress: OnProgress | None
) -> Iterator[np.ndarray]:
    meta = overlay.words.meta
    done = 0
    for clip, group in groupby(enumerate(frames), key=lambda item: clip_of(meta, item[0])):
        held = [frame for _, frame in group]
        if clip >= meta.clips or done + len(held) > meta.frames:
            raise _other_source(source)
        for picture in overlay.draw(clip, held):
            done += 1
            yield picture
            if on_progress:
                on_progress(done, meta.frames)
    if done != meta.frames:
        raise _other_source(source)


def _other_source(source: Path) -> SweettokError:
    return SweettokError(
        f"{source} is not what these tokens were made from: its size or length is another; give the right "
        "file with --source."
    )
