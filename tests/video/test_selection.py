"""A part of a video, at another rate or size: the frames that the whole has, and little work for them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError, WrongUsage
from sweettok_cli.video import VideoReader, probe, reader, seeking, write_image
from sweettok_cli.video.inputs import open_video
from sweettok_cli.video.reader import Frame
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.sequence import FrameSequence

from . import torture

TOTAL = 150
CODED: dict[str, tuple[str, dict[str, str]]] = {
    "mp4": ("long.mp4", {"g": "12", "bf": "3"}),
    "open": ("long.mp4", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "one key": ("long.mp4", {"g": "500"}),
    "mkv": ("long.mkv", {"g": "12", "bf": "3"}),
    "avi": ("long.avi", {"g": "12", "bf": "2"}),
    "ts": ("long.ts", {"g": "12", "bf": "2"}),
    "raw": ("long.h264", {"g": "12"}),
}


def read(path: Path, **chosen: Any) -> list[Frame]:
    with VideoReader(path, selection=Selection(**chosen)) as found:
        return list(found)


@pytest.fixture(scope="module", params=CODED)
def long(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Frame]]:
    name, options = CODED[request.param]
    path = torture.make(tmp_path_factory.mktemp("long") / name, frames=TOTAL, options=options)
    return path, read(path)


@pytest.mark.parametrize("start", [0, 3, 36, 47, 60, 71, 96, 133])
def test_a_part_is_that_of_the_whole(long: tuple[Path, list[Frame]], start: int) -> None:
    path, everything = long
    assert len(everything) == TOTAL
    found = read(path, start=everything[start].time, end=everything[start].time + Fraction(17, 25))
    expected = everything[start : start + 17]
    assert [frame.time for frame in found] == [frame.time for frame in expected]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(found, expected, strict=True))


def test_the_moments_of_a_rate_show_the_frame_before(long: tuple[Path, list[Frame]]) -> None:
    path, everything = long
    found = read(path, start="3.5", end=5, fps=10)  # 25 a second: every two and a half frames, from 87.5 on
    assert [frame.time for frame in found] == [Fraction(35, 10) + Fraction(n, 10) for n in range(15)]
    expected = [everything[int(87.5 + 2.5 * n)] for n in range(15)]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(found, expected, strict=True))


def test_a_higher_rate_repeats_to_the_end_of_the_last_frame(tmp_path: Path) -> None:
    path = torture.build(tmp_path, "plain.mp4")
    found = read(path, fps=50)
    assert [torture.number(frame.rgb) for frame in found] == [n // 2 for n in range(2 * torture.FRAMES)]
    with VideoReader(path, selection=Selection(fps=50)) as opened:
        assert (opened.info.rate, opened.info.frames, opened.info.variable_rate) == (50, 24, False)


def test_times_that_vary(tmp_path: Path) -> None:
    path = torture.build(tmp_path, "variable.mp4")
    at = [Fraction(1001 * tick, 30000) for tick in torture.VFR]
    assert [frame.time for frame in read(path, start=at[3], end=at[8])] == at[3:8]
    found = read(path, fps=Fraction(30000, 1001))
    shown = [max(n for n, tick in enumerate(torture.VFR) if tick <= moment) for moment in range(22)]
    # The last frame is shown as long as the others on average: a moment longer than the clock's tick.
    assert [torture.number(frame.rgb) for frame in found] == [*shown, shown[-1]]
    assert probe(path).variable_rate is not False


def test_decoding_begins_at_a_key_frame_and_ends_with_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = torture.make(tmp_path / "long.mp4", frames=TOTAL, options={"g": "12"})
    decoded = 0
    original = reader.decode

    def counting(*arguments: Any) -> Any:
        nonlocal decoded
        for frame in original(*arguments):
            decoded += 1
            yield frame

    for module in (reader, seeking):
        monkeypatch.setattr(module, "decode", counting)
    assert len(read(path, start=4, end="4.4")) == 10
    assert decoded < 40
    decoded = 0
    assert len(read(path, max_frames=5)) == 5
    assert decoded == 5


@pytest.mark.parametrize(
    ("name", "short", "size"),
    [
        ("plain.mp4", 24, (32, 24)),
        ("plain.mp4", 480, (64, 48)),
        ("odd.mkv", 20, (26, 20)),
        ("one.gif", 12, (16, 12)),
    ],
)
def test_the_short_side_and_never_more(tmp_path: Path, name: str, short: int, size: tuple[int, int]) -> None:
    path = torture.build(tmp_path, name)
    with VideoReader(path, selection=Selection(short_side=short)) as opened:
        assert (opened.info.width, opened.info.height) == size
        frames = list(opened)
    assert {frame.rgb.shape for frame in frames} == {(size[1], size[0], 3)}
    assert [torture.number(frame.rgb) for frame in frames] == list(range(len(frames)))


def test_turned_pictures_are_scaled_as_they_are_shown(tmp_path: Path) -> None:
    path = torture.turn(torture.make(tmp_path / "turned.mp4"), (0, 1, -1, 0))
    assert read(path, short_side=24, max_frames=1)[0].rgb.shape == (32, 24, 3)


def test_scaling_says_nothing_of_changed_sizes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(torture.build(tmp_path, "plain.mp4"), short_side=20)
    assert not caplog.text


def test_moving_pictures_and_numbered_ones(tmp_path: Path) -> None:
    found = read(torture.build(tmp_path, "animated.webp"), start="0.12", max_frames=3, short_side=24)
    assert [torture.number(frame.rgb) for frame in found] == [3, 4, 5]
    assert found[0].rgb.shape == (24, 32, 3)
    (tmp_path / "shots").mkdir()
    for number in range(9):
        write_image(tmp_path / "shots" / f"{number}.png", torture.picture(number))
    sequence = FrameSequence.of(tmp_path / "shots", Fraction(2))
    some = Selection(start=1, end=3, fps=2, short_side=24)
    with open_video(sequence, selection=some) as opened:
        frames = list(opened)
    assert [(torture.number(frame.rgb), frame.time) for frame in frames] == [
        (2, 1),
        (3, Fraction(3, 2)),
        (4, 2),
        (5, Fraction(5, 2)),
    ]
    assert (opened.info.frames, opened.info.height) == (4, 24)
    with (
        open_video(sequence, selection=Selection(start=5)) as opened,
        pytest.raises(SweettokError, match=r"4\.5 s"),
    ):
        list(opened)


def test_a_picture_has_one_frame_at_its_beginning(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", torture.picture(4))
    (frame,) = read(tmp_path / "a.png", end=1, fps=30, max_frames=2, short_side=24)
    assert frame.rgb.shape == (24, 32, 3)
    with pytest.raises(SweettokError, match="is an image, which has one frame, at 0 s; leave out start"):
        read(tmp_path / "a.png", start=1)


@pytest.mark.parametrize("more", [{}, {"fps": 5}])
def test_what_begins_behind_the_end_is_one_sentence(tmp_path: Path, more: dict[str, int]) -> None:
    path = torture.make(tmp_path / "short.mp4", frames=50, options={"g": "10"})
    with pytest.raises(SweettokError, match=r"short.mp4 ends after 2 s, before start='2'; choose an earlier"):
        read(path, start=2, **more)
    assert len(read(path, start="1.96", end=100, **more)) == 1
    if not more:
        with pytest.raises(SweettokError, match=r"has no frame from 1.01 s to 1.02 s; choose a longer part"):
            read(path, start="1.01", end="1.02")


def test_damage_counts_where_it_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clusters = {"cluster_time_limit": "400"}
    path = torture.make(tmp_path / "lost.mkv", frames=200, options={"g": "10"}, container=clusters)
    torture.scribble(path, 0.5, 600)
    with VideoReader(path, strict=True, selection=Selection(start=6, end=7)) as opened:
        assert len(list(opened)) == 25
    assert not caplog.text
    cut = torture.cut_short(torture.make(tmp_path / "cut.mkv", frames=200, options={"g": "10"}), 0.7)
    assert len(read(cut, start=1, end=2)) == 25
    with pytest.raises(SweettokError, match=r"cut\.mkv is cut short"):
        read(cut, start=1)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0),
        ("12.5", Fraction(25, 2)),
        ("1:02.5", Fraction(125, 2)),
        ("1:00:00.250", Fraction(14401, 4)),
        (0.1, Fraction(1, 10)),
        ("90", 90),
    ],
)
def test_times_as_they_are_written(given: Any, seconds: Fraction) -> None:
    assert Selection(start=given).start == seconds


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"start": "-1"}, "is no time"),
        ({"start": -0.5}, "is no time"),
        ({"start": "nan"}, "is no time"),
        ({"end": float("nan")}, "is no time"),
        ({"end": float("inf")}, "is no time"),
        ({"start": "1:75"}, "is no time"),
        ({"start": "1:75:00"}, "is no time"),
        ({"start": "1e9"}, "is no time"),
        ({"start": "later"}, "is no time"),
        ({"start": None}, "is no time"),
        ({"start": 5, "end": 3}, "end='3' does not come after start='5'"),
        ({"start": 5, "end": 5}, "does not come after"),
        ({"start": "1", "end": "1.0"}, "does not come after"),
        ({"start": "1.0000001", "end": "1.0000002"}, "end='1.0000002' comes less than a millionth"),
        ({"start": "1.0000002", "end": "1.0000001"}, "does not come after"),
        ({"fps": 0}, "is no rate"),
        ({"fps": "1/0"}, "is no rate"),
        ({"fps": -2.0}, "is no rate"),
        ({"fps": "1/1001"}, "fps='1/1001' is no rate from 0.001 to 1000"),
        ({"fps": "fast"}, "is no rate"),
        ({"short_side": 0}, "no number from 1"),
        ({"short_side": 1.5}, "no number from 1"),
        ({"max_frames": 0}, "no number from 1"),
        ({"max_frames": True}, "no number from 1"),
    ],
)
def test_what_can_be_no_selection_is_refused(chosen: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongUsage, match=why):
        Selection(**chosen)


def test_in_words() -> None:
    assert str(WHOLE) == "" and not WHOLE and not Selection(start=0)
    some = Selection(start="1:02.5", fps="30000/1001", short_side=256, max_frames=9)
    assert some and str(some) == (
        "from 62.5 s to the end, 29.97 frames a second, short side of at most 256 pixels, at most 9 frames"
    )
    assert str(Selection(end=3)) == "from 0 s to 3 s"


def test_no_more_is_asked_for_than_it_takes() -> None:
    def live(last: int) -> Any:
        for number in range(last + 1):
            yield number, Fraction(number, 10)
        raise AssertionError("one frame too many")

    tenth = Fraction(1, 10)
    assert len(list(Selection(max_frames=4).chosen(live(3), tenth))) == 4
    assert len(list(Selection(end=1, fps=5).chosen(live(8), tenth))) == 5
    assert len(list(Selection(end=1).chosen(live(10), tenth))) == 10
