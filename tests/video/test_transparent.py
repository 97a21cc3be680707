"""What is transparent is laid over white, whatever says so, and nothing else is called transparent."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sweettok_cli.video import probe, read_clip
from tests.video import torture
from tests.video.torture import read


def transparent() -> Image.Image:
    """A red square on nothing."""
    rgba = np.zeros((64, 96, 4), np.uint8)
    rgba[16:48, 32:64] = (255, 0, 0, 255)
    return Image.fromarray(rgba, "RGBA")


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.avif", "a.jp2", "a.qoi", "a.tga", "a.tif"])
def test_transparent_parts_of_every_kind_are_white(tmp_path: Path, name: str) -> None:
    options = {"a.webp": {"lossless": True}, "a.avif": {"quality": 100}}.get(name, {})
    transparent().save(tmp_path / name, **options)  # type: ignore[arg-type]
    assert probe(tmp_path / name).is_image
    for rgb in (read(tmp_path / name)[0][0], read_clip(tmp_path / name, 0, 1)[0]):
        assert np.abs(rgb[4, 4].astype(int) - 255).max() <= 2
        assert np.abs(rgb[32, 48].astype(int) - (255, 0, 0)).max() <= 4


def test_members_of_shards_are_read_as_files_are(tmp_path: Path) -> None:
    packed = io.BytesIO()
    transparent().save(packed, "PNG")
    assert read_clip(packed, 0, 1)[0, 0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mov", "qtrle", "argb"), ("a.webm", "libvpx-vp9", "yuva420p"), ("b.webm", "libvpx", "yuva420p")],
)
def test_what_is_transparent_in_a_video_is_white_too(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    options = {} if codec == "qtrle" else {"auto-alt-ref": "0", "cpu-used": "8"}
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for tick in range(3):
            frame = av.VideoFrame.from_ndarray(np.asarray(transparent()), format="rgba")
            frame = frame.reformat(format=pixels)
            frame.pts = tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert probe(tmp_path / name).stored.alpha
    for rgb in (*read(tmp_path / name)[0], *read_clip(tmp_path / name, 1, 2)):
        assert rgb[4, 4].tolist() == [255, 255, 255]
        assert np.abs(rgb[32, 48].astype(int) - (255, 0, 0)).max() <= 2


def test_what_is_transparent_in_an_animated_avif_is_white_too(tmp_path: Path) -> None:
    moving = [transparent().rotate(angle) for angle in (0, 180, 0)]
    moving[0].save(tmp_path / "a.avif", save_all=True, append_images=moving[1:], duration=40, quality=100)
    frames, times = read(tmp_path / "a.avif")
    assert times == [0, Fraction(1, 25), Fraction(2, 25)] and not probe(tmp_path / "a.avif").is_image
    assert all(np.abs(rgb[4, 4].astype(int) - 255).max() <= 2 for rgb in frames)


def test_one_grey_of_sixteen_bits_may_be_transparent(tmp_path: Path) -> None:
    deep = np.full((8, 8), 40_000, np.uint16)
    deep[:4] = 257
    Image.fromarray(deep).save(tmp_path / "a.png", transparency=257)
    assert probe(tmp_path / "a.png").stored.alpha
    assert read(tmp_path / "a.png")[0][0][:, 0, 0].tolist() == [255] * 4 + [156] * 4


def test_only_what_shows_through_is_called_transparent(tmp_path: Path) -> None:
    """Not what could: every GIF has a way to say so, so have screenshots; in Lab, A is a colour."""
    opaque = Image.fromarray(torture.picture(0))
    opaque.convert("RGBA").save(tmp_path / "a.png")
    torture.make(tmp_path / "a.gif", "gif", pixels="rgb8")
    lab = Image.fromarray(
        np.dstack([torture.picture(0)[..., :1], np.full((48, 64, 2), 128, np.uint8)]), "LAB"
    )
    lab.save(tmp_path / "a.tif")
    assert not any(probe(tmp_path / name).stored.alpha for name in ("a.png", "a.gif", "a.tif"))
    transparent().save(tmp_path / "b.png")
    transparent().save(tmp_path / "b.gif")
    assert all(probe(tmp_path / name).stored.alpha for name in ("b.png", "b.gif"))
