"""Which clips the page shows moving, and their films."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.report.film import GAIN, Film, make_film
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import plural

MOST_FRAMES, LEAST_FRAMES = 90, 17
_FRAME_BYTES = 64 << 20  # of one clip at full size, where that is more than the least frames
MOST_BYTES = 10 << 20
"""Of all films together, before base64 makes them a third larger; the worst clip is shown in any case."""
_MOST_CONTENDERS = 4


class Shown(Protocol):
    """Frames of one clip before and after, uint8 ``[t, h, w, 3]`` each."""

    source: np.ndarray
    reconstruction: np.ndarray


class Media(Protocol):
    """Gives frames of what was measured (``evaluation/media.py``)."""

    def show(self, item: str, contender: str, frames: int | None = None) -> Shown:
        """The first ``frames`` frames of an item as a contender gives them back."""
        ...


@dataclass
class Films:
    """What there is to see.

    Attributes:
        places: number of the clip of each film.
        titles: why it was chosen.
        films: the pictures.
        notes: what is not shown, and why.
    """

    places: list[int]
    titles: list[str]
    films: list[Film]
    notes: list[str]

    def facts(self, findings: Findings) -> list[dict[str, Any]]:
        """Everything that the page's program needs, but the pictures, as plain values."""
        found = []
        for place, title, film in zip(self.places, self.titles, self.films, strict=True):
            clip = findings.record["clips"][place]
            found.append(
                {
                    "clip": place,
                    "title": title,
                    "name": clip["name"],
                    "width": film.width,
                    "height": film.height,
                    "column": film.column,
                    "row": film.row,
                    "frames": film.frames,
                    "rate": float(film.rate),
                    "kind": film.kind,
                    "scores": [
                        {"contender": name, "psnr": [round(value, 3) for value in values]}
                        for name, values in film.psnr.items()
                    ],
                    "note": _size_note(clip, film),
                }
            )
        return found

    def blobs(self) -> list[str]:
        """The pictures in base64."""
        return [base64.b64encode(film.data).decode("ascii") for film in self.films]


def make_films(findings: Findings, media: Media | None) -> Films:
    """The worst, the median and the best clip, as all contenders give them back.

    Args:
        findings: of the record.
        media: None where frames are not to be had.
    """
    made = Films([], [], [], [])
    if media is None:
        made.notes.append("The frames were not at hand when this page was written.")
        return made
    names = findings.names[:_MOST_CONTENDERS]
    if len(names) < len(findings.names):
        made.notes.append(f"Only the first {len(names)} models and codecs are shown moving.")
    size = 0
    for place, title in chosen(findings.ranked):
        clip = findings.record["clips"][place]
        try:
            film = _film(clip, names, media)
        except SweettokError as error:
            made.notes.append(f"{clip['name']} is not shown: {error}")
            continue
        size += len(film.data)
        if size > MOST_BYTES and made.films:
            made.notes.append(f"The {title} clip ({clip['name']}) is left out to keep this file small.")
            size -= len(film.data)
            continue
        made.places.append(place)
        made.titles.append(title)
        made.films.append(film)
    return made


def chosen(ranked: list[int]) -> Iterable[tuple[int, str]]:
    """Clips worth seeing, of all from the worst to the best, each once."""
    last = len(ranked) - 1
    wanted = [("worst", 0), ("median", len(ranked) // 2), ("best", last), ("second worst", 1)]
    found: dict[int, str] = {}
    for title, place in wanted:
        if 0 <= place <= last:
            found.setdefault(ranked[place], title)
    order = ["worst", "second worst", "median", "best"]
    return sorted(found.items(), key=lambda item: order.index(item[1]))


def _film(clip: dict[str, Any], names: list[str], media: Media) -> Film:
    room = _FRAME_BYTES // (3 * clip["width"] * clip["height"])
    frames = min(MOST_FRAMES, max(LEAST_FRAMES, room))

    def versions() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for name in names:
            shown = media.show(clip["name"], name, frames)
            yield name, shown.source, shown.reconstruction

    return make_film(versions(), Fraction(clip["rate"]))


def _size_note(clip: dict[str, Any], film: Film) -> str:
    note = f"{clip['width']}\u00d7{clip['height']}, {plural(clip['frames'], 'frame')}"
    if film.frames < clip["frames"]:
        note += f", the first {film.frames} shown"
    if film.width < clip["width"]:
        note += f", shown at {film.width}\u00d7{film.height}"
    return f"{note}; difference amplified {GAIN:g} times, grey where there is none"
