from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, probe, write_image
from sweettok_cli.video.images import is_picture

from . import torture


def read(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        [frame] = list(reader)
    assert frame.time == 0
    return frame.rgb


@pytest.mark.parametrize("ending", [".png", ".webp", ".bmp", ".tiff", ".jpg", ".JPEG"])
def test_written_images_come_back(tmp_path: Path, ending: str) -> None:
    picture = torture.picture(9, 61, 47)
    path = tmp_path / f"still{ending}"
    write_image(path, picture)
    info = probe(path)
    assert info.is_image and info.frames == 1 and (info.width, info.height) == (61, 47)
    difference = np.abs(read(path).astype(int) - picture)
    assert difference.mean() < 1.5 if ending.lower() in (".jpg", ".jpeg") else difference.max() == 0


def test_camera_orientation_is_applied(tmp_path: Path) -> None:
    picture = torture.picture(9)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "phone.png", exif=exif)
    assert np.array_equal(read(tmp_path / "phone.png"), np.rot90(picture, -1))


def test_sixteen_bits_are_rounded(tmp_path: Path) -> None:
    deep = (np.arange(64 * 64, dtype=np.uint16) * 16).reshape(64, 64)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.abs(read(tmp_path / "deep.png")[..., 0] - deep / 257).max() <= 0.5


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (10, 20, 30, 255)
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    rgb = read(tmp_path / "clear.png")
    assert (rgb[:4] == (10, 20, 30)).all() and (rgb[4:] == 255).all()


def test_ending_does_not_decide(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", torture.picture(3))
    wrong = (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    assert probe(wrong).is_image and np.array_equal(read(wrong), torture.picture(3))


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp"])
def test_damaged_image(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"half{ending}"
    write_image(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    torture.cut_short(path, 0.5)
    with pytest.raises(SweettokError, match="damaged picture"):
        probe(path)


def test_damaged_avif(tmp_path: Path) -> None:
    """Whose decoder has an exception of its own."""
    if not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    path = tmp_path / "grey.avif"
    write_image(path, torture.picture(0))
    content = path.read_bytes()
    begin = content.index(b"mdat") + 4
    for spoilt in (content[:begin] + bytes(len(content) - begin), content.replace(b"pitm", b"free")):
        path.write_bytes(spoilt)
        with pytest.raises(SweettokError, match="damaged picture"):
            probe(path)


def test_the_length_of_a_part_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    write_image(path, torture.picture(0))
    content = bytearray(path.read_bytes())
    at = content.index(b"IDAT") - 4
    content[at : at + 4] = b"\xff\xff\xff\xf0"
    path.write_bytes(content)
    with room_for(1 << 30):
        assert probe(path).is_image


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Address space for so many bytes more."""
    resource = pytest.importorskip("resource")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_huge_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "huge.png", torture.picture(0))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(SweettokError, match="too large a picture"):
        probe(tmp_path / "huge.png")


def test_unknown_ending_and_existing_file(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match=r"does not end in \.avif, .*; name it so"):
        write_image(tmp_path / "a.xyz", torture.picture(0))
    write_image(tmp_path / "a.png", torture.picture(0))
    with pytest.raises(SweettokError, match="force=True"):
        write_image(tmp_path / "a.png", torture.picture(1))
    write_image(tmp_path / "a.png", torture.picture(1), force=True)
    assert np.array_equal(read(tmp_path / "a.png"), torture.picture(1))


def test_a_still_gif_is_a_picture_and_a_cut_one_is_not(tmp_path: Path) -> None:
    still, moving = tmp_path / "still.gif", tmp_path / "moving.gif"
    pictures = [Image.new("RGB", (20, 10), colour) for colour in ("blue", "red")]
    pictures[0].save(still, comment=b"," * 600)
    pictures[0].save(moving, save_all=True, append_images=pictures[1:], duration=100)
    info = probe(still)
    assert info.is_image and (info.width, info.height) == (20, 10)
    assert (read(still) == (0, 0, 255)).all()
    assert not probe(moving).is_image
    still.write_bytes(still.read_bytes()[:-1])
    assert not is_picture(still)


def test_further_pages_are_told(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (20, 10), colour) for colour in ("blue", "red", "lime")]
    pages[0].save(tmp_path / "one.tif")
    pages[0].save(tmp_path / "three.tif", save_all=True, append_images=pages[1:])
    assert probe(tmp_path / "one.tif").stored.flattened == []
    assert probe(tmp_path / "three.tif").stored.flattened == ["of its 3 pages the first is taken"]
    assert (read(tmp_path / "three.tif") == (0, 0, 255)).all()
