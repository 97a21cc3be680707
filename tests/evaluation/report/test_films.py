from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from numbered import FRAMES, Numbered
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.record import Record
from sweettok_cli.evaluation.report import films as films_module
from sweettok_cli.evaluation.report.films import Film, chosen, make_film, make_films
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.run import Shown
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.tokens.ragged import TokenMap


def panels(film: Film, sheet: np.ndarray, method: int) -> list[np.ndarray]:
    """Source, reconstruction and difference of one method, where the page's program looks for them."""
    row = (method + 1) * film.row
    corners = [(0, 0), (row, 0), (row, film.column)]
    return [sheet[y : y + film.height, x : x + film.width].astype(int) for y, x in corners]


def decoded(film: Film) -> list[np.ndarray]:
    with av.open(io.BytesIO(film.data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_every_frame_of_every_panel_is_where_it_belongs() -> None:
    media = Numbered()
    versions = [(name, media.show("a", name)) for name in ("blocks", "x264")]
    film = make_film(versions, Fraction(25))
    assert (film.kind, film.frames, film.width, film.height) == ("video/mp4", FRAMES, 70, 50)
    sheets = decoded(film)
    assert len(sheets) == FRAMES
    for number, sheet in enumerate(sheets):
        grey = 30 + 10 * number
        for method, error in enumerate((5, -10)):
            means = [panel.mean() for panel in panels(film, sheet, method)]
            assert means == pytest.approx([grey, grey + error, 128 + 4 * error], abs=2)
    pairs = zip(*media.show("a", "blocks")[:2], strict=True)
    assert film.psnr["blocks"] == [psnr(before, after) for before, after in pairs]


def test_a_picture_is_exact_and_a_large_one_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 48, 32, 3), dtype=np.uint8)
    film = make_film([("a", Shown(noise, noise))], Fraction(1))
    assert film.kind == "image/png"
    sheet = np.asarray(Image.open(io.BytesIO(film.data)))
    before, after, difference = panels(film, sheet, 0)
    assert (before == noise[0]).all() and (after == noise[0]).all() and (difference == 128).all()
    large = np.zeros((2, 720, 1280, 3), np.uint8)
    film = make_film([("a", Shown(large, large))], Fraction(25))
    assert (film.width, film.height, film.psnr["a"]) == (640, 360, [100.0, 100.0])


@pytest.mark.parametrize(
    ("ranked", "titles"),
    [
        ([], []),
        ([4], ["worst"]),
        ([4, 2], ["worst", "median"]),
        ([4, 2, 0], ["worst", "median", "best"]),
        ([4, 2, 0, 1], ["worst", "second worst", "median", "best"]),
    ],
)
def test_a_clip_is_chosen_once(ranked: list[int], titles: list[str]) -> None:
    found = chosen(ranked)
    assert [title for _, title in found] == titles
    assert [place for place, _ in found] == sorted({place for place, _ in found}, key=ranked.index)


def test_clips_that_are_gone_or_too_large_are_named(
    record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = Findings(Record.from_json(record))
    gone, small = (record["clips"][findings.ranked[place]]["name"] for place in (0, -1))

    class Media(Numbered):
        def show(self, item: str, method: str, frames: int | None = None) -> Shown:
            if item == gone:
                raise SweettokError("The file is gone; fetch it again.")
            return super().show(item, method, frames)

    monkeypatch.setattr(films_module, "MOST_BYTES", 1)
    made = make_films(findings, Media())
    assert [title for title, _ in made.films.values()] == ["second worst"]
    assert any(gone in note and "is gone" in note for note in made.notes)
    assert any(small in note and "left out" in note for note in made.notes)


def test_only_so_many_frames_are_asked_for(record: dict[str, Any]) -> None:
    for clip in record["clips"]:
        clip["width"], clip["height"], clip["frames"] = 3840, 2160, 900
    media = Numbered()
    findings = Findings(Record.from_json(record))
    made = make_films(findings, media)
    assert {frames for _, _, frames in media.asked} == {17}
    assert "3840\u00d72160, 900 frames, the first 20 shown" in made.facts(findings)["films"][0]["note"]


def test_where_tokens_are_is_a_panel_of_the_methods_that_say_so() -> None:
    grey = np.full((2, 50, 70, 3), 100, np.uint8)
    tokens = np.zeros((2, 8, 16), np.float32)  # of frames padded to 128x64
    tokens[0, 2, 5], tokens[1, :, 8:] = 4, 2
    film = make_film([("a", Shown(grey, grey, TokenMap(8, tokens))), ("b", Shown(grey, grey))], Fraction(25))
    assert film.tokens == {"a": "tokens of 8\u00d78 pixels, 0 to 4: the brighter, the more"}
    first, second = (sheet.astype(int).sum(-1) for sheet in decoded(film))
    assert first.shape == (3 * film.row, 3 * film.column)
    panel = (slice(film.row, film.row + 50), slice(2 * film.column, 2 * film.column + 70))
    dark, bright = first[panel][40:, :30].mean(), first[panel][16:24, 40:48].mean()
    assert bright > dark + 250
    assert dark + 30 < second[panel][:, 66:].mean() < bright - 100
    assert second[panel][16:24, 40:48].mean() == pytest.approx(dark, abs=20)
    assert abs(first[2 * film.row : 2 * film.row + 50, 2 * film.column :] - 3 * 128).max() < 20  # b has none
