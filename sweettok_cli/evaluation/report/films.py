"""The clips that the page shows moving, before and after in one video: all panels stay in step."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.record import ClipFacts
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.heat import heat
from sweettok_cli.evaluation.report.text import plural
from sweettok_cli.evaluation.run import Media, Shown
from sweettok_cli.evaluation.spelling import printable
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.video.color import FromRgb, tag_options
from sweettok_cli.video.side_by_side import difference

MOST_FRAMES, LEAST_FRAMES = 90, 17
MOST_BYTES = 10 << 20
"""Of all films together, before base64 makes them a third larger; the worst clip is shown in any case."""
_FRAME_BYTES = 64 << 20  # of one clip at full size, where that is more than the least frames
_SIZES = ("width", "height", "column", "row", "frames", "kind")  # of a film, as the page's program needs them
_GAIN = 4.0
_LARGEST_SIDE = 640  # of a panel; larger frames are shown smaller
_BLOCK = 16  # of the codec: panels that begin on one do not colour one another
_CRF = 23  # about 40 dB from the frames: enough to see by; figures are taken before
_KEY_FRAMES = 24  # at most so far apart: any frame is soon found


@dataclass
class Film:
    """A clip for the page.

    Panels lie in columns: the source at the top left, and below it a row for each method with its
    reconstruction, the amplified difference and, if it has levels, where its tokens are.
    """

    width: int  # of a panel as shown, in pixels
    height: int
    column: int  # pixels from one panel to the next one to the right
    row: int  # pixels from one panel to the next one below
    rate: Fraction  # frames a second
    frames: int
    kind: str  # media type of the data
    data: bytes  # an MP4 file, or a PNG for a single picture
    psnr: dict[str, list[float]]  # of every frame at full size, by method
    tokens: dict[str, str]  # what the third panel of a method shows, of those that have one

    @property
    def base64(self) -> str:
        """The file as text."""
        return base64.b64encode(self.data).decode("ascii")


@dataclass
class Films:
    """What there is to see."""

    films: dict[int, tuple[str, Film]] = field(default_factory=dict)  # by clip, with why it was chosen
    notes: list[str] = field(default_factory=list)  # what is not shown, and why

    @property
    def numbers(self) -> dict[int, int]:
        """The number of the film of each clip that has one."""
        return {place: number for number, place in enumerate(self.films)}

    def facts(self, findings: Findings) -> dict[str, Any]:
        """Everything that the page's program needs, but the pictures, as plain values."""
        films = []
        for place, (title, film) in self.films.items():
            clip = findings.record.clips[place]
            scores = [
                {
                    "method": printable(name),
                    "psnr": [round(value, 3) for value in values],
                    "tokens": film.tokens.get(name),
                }
                for name, values in film.psnr.items()
            ]
            found = {key: getattr(film, key) for key in _SIZES} | {"clip": place, "title": title}
            found |= {"name": printable(clip.name), "rate": float(film.rate), "scores": scores}
            films.append(found | {"note": _size_note(clip, film)})
        return {"films": films, "methods": [printable(name) for name in findings.moving]}


def make_films(findings: Findings, media: Media | None) -> Films:
    """The worst, the median and the best clip as all methods give them back; none without ``media``."""
    made = Films()
    if media is None:
        made.notes.append("The frames were not at hand when this page was written.")
        return made
    names = findings.moving
    if len(names) < len(findings.names):
        made.notes.append(f"Only {', '.join(names)} are shown moving.")
    room = MOST_BYTES
    for place, title in chosen(findings.ranked):
        clip = findings.record.clips[place]
        frames = min(MOST_FRAMES, max(LEAST_FRAMES, _FRAME_BYTES // (3 * clip.width * clip.height)))
        versions = ((name, media.show(clip.name, name, frames)) for name in names)
        try:
            film = make_film(versions, Fraction(clip.rate))
        except SweettokError as error:
            made.notes.append(f"{clip.name} is not shown: {error}")
            continue
        if len(film.data) > room and made.films:
            made.notes.append(f"The {title} clip ({clip.name}) is left out to keep this file small.")
            continue
        room -= len(film.data)
        made.films[place] = title, film
    return made


def chosen(ranked: list[int]) -> list[tuple[int, str]]:
    """Clips worth seeing, of all from the worst to the best, each once."""
    last = len(ranked) - 1
    found: dict[int, str] = {}
    for title, place in (("worst", 0), ("median", len(ranked) // 2), ("best", last), ("second worst", 1)):
        if 0 <= place <= last:
            found.setdefault(ranked[place], title)
    return sorted(found.items(), key=lambda item: ranked.index(item[0]))


def _size_note(clip: ClipFacts, film: Film) -> str:
    note = f"{clip.width}\u00d7{clip.height}, {plural(clip.frames, 'frame')}"
    if film.frames < clip.frames:
        note += f", the first {film.frames} shown"
    if film.width < clip.width:
        note += f", shown at {film.width}\u00d7{film.height}"
    return f"{note}; difference amplified {_GAIN:g} times, grey where there is none"


def make_film(versions: Iterable[tuple[str, Shown]], rate: Fraction) -> Film:
    """Draw and encode.

    Args:
        versions: of each method its name, and what is shown. They are asked for one after the other, and only
            what is shown of them is kept.
        rate: frames a second.
    """
    panels: dict[tuple[int, int], np.ndarray] = {}  # by column and row; places beside the source stay grey
    scores: dict[str, list[float]] = {}
    tokens: dict[str, str] = {}
    for y, (name, (source, decoded, where)) in enumerate(versions, 1):
        if not scores:
            panels[0, 0] = _panel(source)
        scores[name] = [psnr(before, after) for before, after in zip(source, decoded, strict=True)]
        errors = (difference(before, after, _GAIN) for before, after in zip(source, decoded, strict=True))
        panels[0, y], panels[1, y] = _panel(decoded), _panel(errors)
        if where is not None:
            least, most = float(where.tokens.min()), float(where.tokens.max())
            panels[2, y] = _panel(heat(source, where, most))
            square = f"{where.side}\u00d7{where.side} pixels"
            tokens[name] = f"tokens of {square}, {least:g} to {most:g}: the brighter, the more"
    frames, height, width = panels[0, 0].shape[:3]
    column, row = (-(-side // _BLOCK) * _BLOCK for side in (width, height))
    sheet = np.full((row * (1 + len(scores)), column * (3 if tokens else 2), 3), 128, np.uint8)

    def draw(number: int) -> np.ndarray:
        for (x, y), panel in panels.items():
            padding = ((0, row - height), (0, column - width), (0, 0))
            box = slice(y * row, (y + 1) * row), slice(x * column, (x + 1) * column)
            sheet[box] = np.pad(panel[number], padding, mode="edge")
        return sheet

    if frames == 1:
        stream = io.BytesIO()
        Image.fromarray(draw(0)).save(stream, "PNG", optimize=True)
        kind, data = "image/png", stream.getvalue()
    else:
        kind, data = "video/mp4", _mp4(map(draw, range(frames)), sheet.shape[1::-1], rate)
    return Film(width, height, column, row, rate, frames, kind, data, scores, tokens)


def _panel(frames: Iterable[np.ndarray]) -> np.ndarray:
    return np.stack([_smaller(frame) for frame in frames])


def _smaller(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = _LARGEST_SIDE / max(width, height)
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _mp4(pictures: Iterable[np.ndarray], size: tuple[int, ...], rate: Fraction) -> bytes:
    stream = io.BytesIO()
    convert = FromRgb("yuv420p")
    with av.open(stream, "w", format="mp4") as container:
        options = {"crf": str(_CRF), "preset": "fast", "g": str(_KEY_FRAMES), "bf": "0", **tag_options()}
        video = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            frame = convert(picture)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return stream.getvalue()
