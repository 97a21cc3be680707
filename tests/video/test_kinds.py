"""Matroska, WebM and GIF: what is written comes back, and what they cannot hold is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, VideoWriter, probe, write_image
from sweettok_cli.video.gif import gif_writer
from sweettok_cli.video.source import open_container
from video import torture

NTSC = Fraction(30000, 1001)


def scene(width: int = 48, height: int = 32, frames: int = 9) -> list[np.ndarray]:
    """A bright square that moves over a slope."""
    slope = np.linspace(30, 120, width)[None, :, None] * np.ones((height, 1, 3))
    shown = []
    for number in range(frames):
        picture = slope.astype(np.uint8)
        picture[8:24, 2 * number : 2 * number + 16] = 220
        shown.append(picture)
    return shown


def read(path: Path) -> tuple[VideoReader, list[np.ndarray], list[Fraction]]:
    with VideoReader(path) as reader:
        shown = list(reader)
    return reader, [frame.rgb for frame in shown], [frame.time for frame in shown]


def psnr(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    error = np.square(np.stack(a).astype(float) - np.stack(b)).mean()
    return float(-10 * np.log10(error / 255**2)) if error else 99.0


@pytest.mark.parametrize("ending", [".mkv", ".webm"])
@pytest.mark.parametrize(("width", "height"), [(48, 32), (47, 33)])
def test_what_is_written_comes_back(tmp_path: Path, ending: str, width: int, height: int) -> None:
    frames = scene(width, height)
    path = tmp_path / f"a{ending}"
    with VideoWriter(path, width, height, NTSC, sample_aspect_ratio=Fraction(64, 45)) as writer:
        for frame in frames:
            writer.write(frame)
    reader, back, times = read(path)
    assert (reader.info.rate, reader.info.variable_rate, len(back)) == (NTSC, False, len(frames))
    # libav takes a WebM's from the stream, where PyAV cannot set it.
    assert reader.info.sample_aspect_ratio == (1 if ending == ".webm" else Fraction(64, 45))
    assert psnr(frames, back) > 36
    assert abs(times[-1] - 8 / NTSC) < Fraction(1, 1000)


@pytest.mark.parametrize("ending", [".mkv", ".webm"])
def test_pauses_are_kept_to_the_millisecond(tmp_path: Path, ending: str) -> None:
    times = [Fraction(0), Fraction(1, 30), Fraction(1, 10), Fraction(7201, 2), Fraction(36011, 10)]
    path = tmp_path / f"a{ending}"
    with VideoWriter(path, 48, 32, Fraction(25), times=times) as writer:
        for frame in scene(frames=5):
            writer.write(frame)
    _, back, found = read(path)
    assert len(back) == 5
    assert all(abs(a - b) <= Fraction(1, 1000) for a, b in zip(times, found, strict=True))


def test_webm_is_lossless_at_zero(tmp_path: Path) -> None:
    frames = scene()
    for crf in (0, 30):
        with VideoWriter(tmp_path / f"{crf}.webm", 48, 32, NTSC, crf=crf) as writer:
            for frame in frames:
                writer.write(frame)
    quality = [psnr(frames, read(tmp_path / f"{crf}.webm")[1]) for crf in (0, 30)]
    assert quality[0] > 48 and quality[0] > quality[1] + 6


@pytest.mark.parametrize(("ending", "codec"), [(".webm", "opus"), (".mkv", "aac")])
def test_sound_is_what_the_kind_takes(tmp_path: Path, ending: str, codec: str) -> None:
    source = torture.make(tmp_path / "voice.mp4", sound=("aac", 0))
    path = tmp_path / f"a{ending}"
    info = probe(source)
    with (
        VideoReader(source) as reader,
        VideoWriter(path, info.width, info.height, info.rate, audio_from=source) as writer,
    ):
        for frame in reader:
            writer.write(frame.rgb)
    with open_container(path) as container, open_container(source) as before:
        (sound,) = container.streams.audio
        assert sound.codec_context.name.removeprefix("lib") == codec
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(sound))
        wanted = sum(frame.samples / frame.sample_rate for frame in before.decode(audio=0))
        assert heard == pytest.approx(wanted, abs=0.1)


def test_a_gif_comes_back(tmp_path: Path) -> None:
    frames = scene()
    frames[4] = frames[3]  # what does not change is a frame, too
    with gif_writer(tmp_path / "a.gif", 48, 32, 9, NTSC) as write:
        for frame in frames:
            write(frame)
    reader, back, times = read(tmp_path / "a.gif")
    assert len(back) == 9 and psnr(frames, back) > 35
    assert all(abs(time - number / NTSC) <= Fraction(1, 200) for number, time in enumerate(times))
    assert reader.info.duration == pytest.approx(9 / NTSC, abs=0.011)


@pytest.mark.parametrize(("name", "rate"), [("a.gif", 60), ("a.webm", 600), ("a.mkv", 600)])
def test_what_is_too_fast_is_said(tmp_path: Path, name: str, rate: int) -> None:
    with pytest.raises(SweettokError, match=r"a\.\w+ cannot hold frames .* apart.*name it \.mp4"):
        if name.endswith("gif"):
            with gif_writer(tmp_path / name, 8, 8, 2, Fraction(rate)):
                pass
        else:
            VideoWriter(tmp_path / name, 8, 8, Fraction(rate))
    assert list(tmp_path.iterdir()) == []


def test_what_a_gif_cannot_hold_is_said(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 25), Fraction(700)]
    with (
        pytest.raises(SweettokError, match="cannot hold a pause of 700 s"),
        gif_writer(tmp_path / "a.gif", 8, 8, 3, Fraction(25), times),
    ):
        pass


def test_nothing_is_left_of_a_gif_that_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), gif_writer(tmp_path / "a.gif", 48, 32, 9, NTSC) as write:
        write(scene()[0])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".png", ".webp", ".avif", ".jpg", ".bmp", ".tiff"])
def test_pictures_come_back(tmp_path: Path, ending: str) -> None:
    (picture, *_) = scene()
    write_image(tmp_path / f"a{ending}", picture)
    info, (back,), _ = read(tmp_path / f"a{ending}")
    assert info.info.is_image and psnr([picture], [back]) > 35
    assert ending in (".avif", ".jpg") or (back == picture).all()
