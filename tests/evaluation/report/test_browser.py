from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium, find_chromium
from numbered import FRAMES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium; apt-get install chromium"),
]
SHOWN = "document.getElementById('frame').dataset.shown"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: Chromium, page: Path) -> Iterator[Chromium]:
    """The page, its first frame drawn; at the end nothing may have gone wrong or left the file."""
    browser.open(page)
    browser.wait(f"{SHOWN} === '0'")
    yield browser
    assert browser.console == []
    assert {address.partition(":")[0] for address in browser.requests} <= {"file", "blob", "data"}
    assert [address for address in browser.requests if address.startswith("file")] == [page.as_uri()]


def greys(browser: Chromium) -> list[float]:
    """The mean grey of the three panels as they are drawn."""
    return browser.evaluate(
        """['source', 'decoded', 'difference'].map((name) => {
            const panel = document.getElementById(`panel-${name}`);
            const pen = new OffscreenCanvas(panel.width, panel.height)
                .getContext('2d', {willReadFrequently: true});
            pen.drawImage(panel, 0, 0);
            const {data} = pen.getImageData(0, 0, panel.width, panel.height);
            return data.filter((_, place) => place % 4 === 0).reduce((a, b) => a + b) / (data.length / 4);
        })"""
    )


def expected(frame: int, error: int = 5) -> Any:
    grey = 30 + 10 * frame
    return pytest.approx([grey, grey + error, 128 + 4 * error], abs=3)


def test_the_slider_shows_exactly_its_frame_in_all_panels(open_page: Chromium) -> None:
    assert greys(open_page) == expected(0)
    for frame in (7, 19, 6, 12, 13):
        open_page.evaluate(
            f"(slider => {{ slider.value = {frame}; slider.dispatchEvent(new Event('input')); }})"
            "(document.getElementById('frame'))"
        )
        open_page.wait(f"{SHOWN} === '{frame}'")
        assert greys(open_page) == expected(frame)
        text = open_page.evaluate("document.getElementById('frame-text').textContent")
        assert text.startswith(f"frame {frame + 1} of {FRAMES}, 34.")


def test_the_keyboard_moves_frames_and_chooses_clip_and_method(open_page: Chromium) -> None:
    open_page.evaluate("document.getElementById('frame').focus()")
    for key, frame in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 19), ("Home", 0)):
        open_page.press(key)
        open_page.wait(f"{SHOWN} === '{frame}'")
        assert greys(open_page) == expected(frame)
    open_page.evaluate("document.querySelector('#method-choice input').focus()")
    open_page.press("ArrowRight")
    open_page.wait("document.getElementById('decoded-caption').textContent === 'x264'")
    assert greys(open_page) == expected(0, error=-10)
    first = open_page.evaluate("document.getElementById('film-name').textContent")
    open_page.evaluate("document.querySelector('#film-choice input').focus()")
    open_page.press("ArrowRight")
    open_page.wait(f"{SHOWN} === '0'")
    assert open_page.evaluate("document.getElementById('film-name').textContent") != first


def test_what_has_the_focus_is_marked_and_reached_in_order(open_page: Chromium) -> None:
    seen = []
    for _ in range(80):
        open_page.press("Tab")
        seen.append(
            open_page.evaluate(
                "(e => [e.id || e.name || e.textContent.trim().slice(0, 20), "
                "getComputedStyle(e).outlineStyle, "
                "e.nextElementSibling ? getComputedStyle(e.nextElementSibling).outlineStyle : 'none'])"
                "(document.activeElement)"
            )
        )
    names = [name for name, _, _ in seen]
    order = [
        "Skip to the figures",
        "film-choice",
        "method-choice",
        "play",
        "back",
        "forth",
        "speed",
        "frame",
    ]
    places = [names.index(name) for name in order]
    assert places == sorted(places)
    assert all(own != "none" or after != "none" for _, own, after in seen[: places[-1]])


def test_playing_moves_on_and_stopping_shows_one_frame(open_page: Chromium) -> None:
    open_page.evaluate("document.getElementById('play').focus()")
    open_page.press(" ")
    open_page.wait("document.getElementById('play').textContent === 'Pause'")
    open_page.wait(f"Number({SHOWN}) > 2")
    open_page.press(" ")
    open_page.wait("document.getElementById('play').textContent === 'Play'")
    frame = open_page.evaluate(
        "new Promise((done) => setTimeout(() => done(Number(frame.dataset.shown)), 300))"
    )
    assert frame == open_page.evaluate("Number(document.getElementById('frame').value)")
    assert greys(open_page) == expected(frame)


def test_the_table_sorts_by_every_column(open_page: Chromium, record: dict[str, Any]) -> None:
    heads = open_page.evaluate(
        "[...document.querySelectorAll('#clip-table thead th[scope=col]')].map((h) => h.className)"
    )
    assert len(heads) > 6
    sort_of = "document.querySelectorAll('#clip-table th[scope=col]')[{}].getAttribute('aria-sort')"
    assert open_page.evaluate(sort_of.format(1)) == "ascending"
    for number, kind in enumerate(heads):
        open_page.evaluate(f"document.querySelectorAll('#clip-table thead button')[{number}].focus()")
        orders = []
        for key in ("Enter", " "):
            open_page.press(key)
            orders.append(open_page.evaluate(sort_of.format(number)))
            values = open_page.evaluate(
                "[...document.querySelectorAll('#clip-table tbody tr')].map((row) => "
                f"row.cells[{number}].dataset.value ?? row.cells[{number}].textContent)"
            )
            keys = [float(value) for value in values] if kind == "number" else [v.lower() for v in values]
            if kind == "number":
                assert keys == sorted(keys, reverse=orders[-1] == "descending")
        assert sorted(orders) == ["ascending", "descending"]
        marked = open_page.evaluate("document.querySelectorAll('#clip-table [aria-sort]').length")
        assert marked == 1
    rows = open_page.evaluate("document.querySelectorAll('#clip-table tbody tr').length")
    assert rows == len(record["clips"])


def test_a_row_leads_to_its_players(open_page: Chromium, record: dict[str, Any]) -> None:
    best = max(record["clips"], key=lambda clip: clip["scores"]["blocks"]["psnr"])["name"]
    shown = best.replace("\udce9", "\\xe9")
    open_page.evaluate(
        "[...document.querySelectorAll('#clip-table tbody tr')].at(-1).querySelector('a').click()"
    )
    open_page.wait(f"{SHOWN} === '0'")
    assert open_page.evaluate("document.getElementById('film-name').textContent") == shown
    assert open_page.evaluate("document.querySelector('#film-choice input:checked').title") == shown
    assert open_page.evaluate("document.activeElement.id") == "frame"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1300])
def test_nothing_is_wider_than_the_window(browser: Chromium, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    browser.wait(f"{SHOWN} === '0'")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(20, 22, 26)" if dark else "rgb(251, 251, 250)")
    assert browser.console == []
