from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, read_clip, seeking, write_image

from . import torture

TOTAL = 150
CODED = {
    "mp4": ("long.mp4", {"g": "12", "bf": "3"}),
    "open": ("long.mp4", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "one key": ("long.mp4", {"g": "500"}),
    "mkv": ("long.mkv", {"g": "12"}),
    "avi": ("long.avi", {"g": "12", "bf": "2"}),
}


@pytest.fixture(scope="module", params=CODED)
def long(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    name, options = CODED[request.param]
    path = torture.make(tmp_path_factory.mktemp("long") / name, frames=TOTAL, options=options)
    with VideoReader(path) as reader:
        return path, np.stack([frame.rgb for frame in reader])


@pytest.mark.parametrize("start", [0, 1, 17, 32, 47, 60, 71, 96, 121, 133])
def test_same_frames_as_reading_all(long: tuple[Path, np.ndarray], start: int) -> None:
    path, everything = long
    expected = everything[start : start + 17]
    assert np.array_equal(read_clip(path, start, 17), expected)
    assert np.array_equal(read_clip(BytesIO(path.read_bytes()), start, 17), expected)


def test_seeks_instead_of_decoding_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = torture.make(tmp_path / "long.mp4", frames=TOTAL, options={"g": "12"})
    decoded = 0
    original = seeking.decode

    def counting(*arguments):
        nonlocal decoded
        for frame in original(*arguments):
            decoded += 1
            yield frame

    monkeypatch.setattr(seeking, "decode", counting)
    assert len(read_clip(path, 120, 4)) == 4
    assert decoded < 40


def test_variable_rate_counts_frames(tmp_path: Path) -> None:
    ticks = np.cumsum(np.random.default_rng(1).integers(1, 4, 100)).tolist()
    path = torture.make(tmp_path / "variable.mp4", pts=ticks, options={"g": "10"})
    with VideoReader(path) as reader:
        everything = np.stack([frame.rgb for frame in reader])
    assert np.array_equal(read_clip(path, 60, 10), everything[60:70])


def test_end_of_the_file(tmp_path: Path) -> None:
    path = torture.build(tmp_path, "plain.mp4")
    assert len(read_clip(path, 8, 17)) == 4
    with pytest.raises(SweettokError, match=r"plain\.mp4 has no frame 12"):
        read_clip(path, 12, 1)


def test_scaled_and_turned(tmp_path: Path) -> None:
    path = torture.turn(torture.make(tmp_path / "turned.mp4"), (0, 1, -1, 0))
    assert read_clip(path, 0, 2).shape == (2, 64, 48, 3)
    assert read_clip(path, 0, 2, size=(24, 32)).shape == (2, 32, 24, 3)


def test_still_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", torture.picture(4))
    assert np.array_equal(read_clip(tmp_path / "a.png", 0, 17), torture.picture(4)[None])
    assert read_clip(tmp_path / "a.png", 0, 1, size=(10, 20)).shape == (1, 20, 10, 3)


def test_bytes_that_are_no_video() -> None:
    with pytest.raises(SweettokError, match="the given bytes cannot be read as a video"):
        read_clip(BytesIO(b"nothing" * 100), 0, 1)


@pytest.mark.parametrize("rate", [3, 8.5, 80])
@pytest.mark.parametrize("start", [0, 5, 40])
def test_frames_at_a_rate_are_those_shown_then(tmp_path: Path, rate: float, start: int) -> None:
    """By time stamps, whether the clip's own rate is steady or not; none after its last frame."""
    ticks = np.cumsum(np.random.default_rng(1).integers(1, 4, 100)).tolist()
    for name, more in (("variable.mp4", {"pts": ticks}), ("steady.mkv", {}), ("steady.mp4", {})):
        path = torture.make(tmp_path / name, frames=100, options={"g": "10"}, **more)
        with VideoReader(path) as reader:
            frames = list(reader)[start:]
        times = [float(frame.time - frames[0].time) for frame in frames]
        moments = np.arange(0, times[-1] + 1e-3, 1 / rate)[:17]
        wanted = [frames[np.searchsorted(times, moment + 1e-3) - 1].rgb for moment in moments]
        assert np.array_equal(read_clip(path, start, 17, rate=rate), np.stack(wanted))
