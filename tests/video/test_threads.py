"""Damaged files give the same frames, and the same words, whatever the number of the decoder's threads."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from sweettok_cli.video import VideoReader, read_clip
from tests.video import torture
from tests.video.torture import read


def damaged(path: Path) -> Path:
    """Three packets of an MP4 without meaning."""
    torture.make(path, frames=40, options={"g": "10", "bf": "2"})
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packet.pos, packet.size) for packet in packets]
    data = bytearray(path.read_bytes())
    for number in (7, 18, 33):
        at, size = places[number]
        data[at : at + size] = b"\xff" * size
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("threads", [2, 3, 8, 16])
def test_what_is_lost_to_damage_does_not_depend_on_the_machine(tmp_path: Path, threads: int) -> None:
    path = damaged(tmp_path / "damaged.mp4")
    alone, many = read(path, threads=1), read(path, threads=threads)
    assert 20 < len(alone[0]) < 40
    assert alone[1] == many[1] and all(map(np.array_equal, alone[0], many[0]))
    assert np.array_equal(read_clip(path, 0, 40, threads=threads), np.stack(alone[0]))


def scribbled(path: Path, codec: str, options: dict[str, str], first: int = 30) -> Path:
    """Bytes inside of three packets of 30, over which decoders do not stumble but guess."""
    pixels = "rgb24" if codec == "png" else "yuv420p"
    torture.make(path, codec, frames=30, size=(128, 96), options=options, pixels=pixels)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos]
    data, random = bytearray(path.read_bytes()), np.random.default_rng(101)
    for number in (5, 13, 22):
        at, size = places[number]
        at += int(random.integers(first, max(first + 1, min(size, 180))))
        data[at : at + 8] = random.bytes(8)
    path.write_bytes(data)
    return path


GUESSING: dict[str, tuple[str, dict[str, str]]] = {
    "mpeg2.ts": ("mpeg2video", {"g": "20"}),
    "h264.ts": ("libx264", {"g": "20"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=0:keyint=10"}),
    "vp8.webm": ("libvpx", {"cpu-used": "8", "g": "20"}),
    "vp9.webm": ("libvpx-vp9", {"cpu-used": "8", "g": "20"}),
    "ffv1.avi": ("ffv1", {"g": "5", "level": "1"}),
    "png.avi": ("png", {}),
}


@pytest.mark.parametrize("name", GUESSING)
def test_what_is_made_up_for_damage_does_not_depend_on_the_machine(tmp_path: Path, name: str) -> None:
    path = scribbled(tmp_path / name, *GUESSING[name])
    with VideoReader(path, threads=1) as reader:
        alone = list(reader)
    for threads in (3, 5, 16):
        with VideoReader(path, threads=threads) as other:
            many = list(other)
        assert [frame.time for frame in alone] == [frame.time for frame in many]
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(alone, many, strict=True))
        assert reader.loss == other.loss


@pytest.mark.parametrize("threads", [1, 4])
def test_frames_that_are_passed_over_without_an_error_are_told(tmp_path: Path, threads: int) -> None:
    options = {"x265-params": "log-level=0:bframes=0:keyint=12:min-keyint=12:scenecut=0"}
    path = torture.make(tmp_path / "a.mp4", "libx265", frames=30, options=options)
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][11]
    data = bytearray(path.read_bytes())
    data[place + 4] = 41 << 1  # of a kind that decoders skip (ITU-T H.265, table 7-1)
    path.write_bytes(data)
    with VideoReader(path, threads=threads) as reader:
        assert len(list(reader)) == 29
    assert reader.loss.words == "only 29 of 30 frames could be read" and reader.loss.frames == 1
