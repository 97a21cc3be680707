"""What a container says is shown of its pictures: which part, how wide, and which of them."""

from __future__ import annotations

import io
import logging
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.video import VideoWriter, probe, read_clip
from sweettok_cli.video.cropping import Cropping, container_cropping
from tests.video import torture
from tests.video.torture import read


@pytest.mark.parametrize("ratio", [Fraction(64, 45), Fraction(16, 11), Fraction(8, 9)])
def test_stretched_pixels_come_back_stretched(tmp_path: Path, ratio: Fraction) -> None:
    path = torture.make(tmp_path / "dvd.mp4", aspect=ratio)
    info = probe(path)
    assert (info.sample_aspect_ratio, info.width, info.height) == (ratio, 64, 48)
    with VideoWriter(tmp_path / "a.mp4", 64, 48, info.rate, sample_aspect_ratio=ratio) as writer:
        for rgb in read(path)[0]:
            writer.write(rgb)
    assert probe(tmp_path / "a.mp4").sample_aspect_ratio == ratio
    assert probe(torture.turn(path, (0, 1, -1, 0))).sample_aspect_ratio == 1 / ratio


def box(kind: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", 8 + len(inside)) + kind + inside


def replaced(inside: bytes, way: tuple[bytes, ...], new: bytes) -> bytes:
    """``new`` for the box at the end of the ``way`` through an MP4."""
    at = inside.index(way[0]) - 4
    size = int.from_bytes(inside[at : at + 4], "big")
    body = inside[at + 8 : at + size]
    made = box(way[0], replaced(body, way[1:], new)) if way[1:] else new
    return inside[:at] + made + inside[at + size :]


def with_clean_aperture(path: Path, width: int, height: int, right: int, down: int) -> Path:
    """Add a ``clap`` box to the sample entry of an MP4 whose index comes last."""
    data = path.read_bytes()
    clap = box(b"clap", struct.pack(">8i", width, 1, height, 1, right, 2, down, 2))
    way = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
    at = data.index(b"avc1", data.index(b"moov")) - 4
    entry = data[at + 8 : at + int.from_bytes(data[at : at + 4], "big")]
    path.write_bytes(replaced(data, way, box(b"avc1", entry + clap)))
    return path


def test_the_clean_aperture_of_an_mp4_is_what_is_shown(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.mp4", size=(96, 64))
    whole = read(path)[0][0]
    with_clean_aperture(path, 80, 40, -8, 4)
    info = probe(path)
    assert (info.width, info.height) == (80, 40)
    # Half of 96 - 80, less 4 to the left; half of 64 - 40, 2 further down.
    assert np.array_equal(read(path)[0][0], whole[14:54, 4:84])
    assert np.array_equal(read_clip(path, 0, 1)[0], whole[14:54, 4:84])
    turned = probe(torture.turn(path, (0, 1, -1, 0)))
    assert (turned.width, turned.height) == (40, 80)


def element(kind: bytes, inside: bytes) -> bytes:
    return kind + (len(inside) | 1 << 28).to_bytes(4, "big") + inside


def test_matroska_states_its_cropping() -> None:
    crop = b"".join(
        element(bytes.fromhex(kind), bytes([value]))
        for kind, value in {"54bb": 2, "54aa": 6, "54cc": 12, "54dd": 4}.items()
    )
    tracks = element(bytes.fromhex("1654ae6b"), element(b"\xae", element(b"\xe0", crop)))
    head = element(bytes.fromhex("1a45dfa3"), b"\x42\x86\x81\x01")
    for segment in (
        element(bytes.fromhex("18538067"), tracks),
        b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + tracks,
    ):
        assert container_cropping(io.BytesIO(head + segment), 96, 64) == Cropping(2, 6, 12, 4)
    assert container_cropping(io.BytesIO(head + segment), 16, 64) == Cropping()  # nothing would be left
    for length in range(len(head + segment)):
        container_cropping(io.BytesIO((head + segment)[:length]), 96, 64)  # never raises


def edited(path: Path, *edits: tuple[float, float | None]) -> Path:
    """Replace the only edit of an MP4 by others: seconds that are shown, from when on; None for nothing."""
    data = path.read_bytes()
    clock, track_clock = (
        struct.unpack(">I", data[data.index(kind) + 16 : data.index(kind) + 20])[0]
        for kind in (b"mvhd", b"mdhd")
    )
    entries = [
        struct.pack(
            ">IiI", round(shown * clock), -1 if start is None else round(start * track_clock), 1 << 16
        )
        for shown, start in edits
    ]
    new = box(b"elst", struct.pack(">II", 0, len(edits)) + b"".join(entries))
    path.write_bytes(replaced(data, (b"moov", b"trak", b"edts", b"elst"), new))
    return path


@pytest.mark.parametrize(
    "edits", [[(0.6, 0.4)], [(0.4, None), (0.6, 0.4)], [(0.2, 0), (0.4, 0.6)], [(0.6, 0)]]
)
def test_what_an_edit_list_trims_is_not_called_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, edits: list[tuple[float, float | None]]
) -> None:
    path = edited(torture.make(tmp_path / "a.mp4", frames=25, options={"bf": "0", "g": "1"}), *edits)
    with caplog.at_level(logging.WARNING):
        frames, times = read(path)
    assert 14 <= len(frames) <= 16 and times[-1] == Fraction(len(frames) - 1, 25)
    assert not caplog.text
