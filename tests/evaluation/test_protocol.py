"""Which frames a protocol takes of a video, and what becomes of their size."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sweettok_cli.data.datasets import Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.method import Clip
from sweettok_cli.evaluation.protocol import PROTOCOLS, Protocol, SpatialFit, find_protocol
from sweettok_cli.video import VideoReader, VideoWriter, write_image


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of 96x64 that differ, at 60 a second."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    ground = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    with VideoWriter(path, 96, 64, Fraction(60), crf=12) as writer:
        for number in range(40):
            writer.write(np.roll(ground, 3 * number, axis=1))
    return path


def test_the_frames_that_are_taken(film: Path) -> None:
    with VideoReader(film) as reader:
        whole = [frame.rgb for frame in reader]

    def taken(**choices: object) -> Clip:
        return Clip(Item("film", film), Protocol("test", **choices))  # type: ignore[arg-type]

    for choices, wanted in (
        ({}, whole),
        ({"choice": "first", "frames": 5}, whole[:5]),
        ({"choice": "centre", "frames": 17}, whole[12:29]),
        ({"choice": "centre", "frames": 16}, whole[12:28]),
        ({"choice": "centre", "frames": 50}, whole),
        ({"fps": 30.0}, whole[::2]),
        ({"fps": 30.0, "choice": "centre", "frames": 4}, whole[16:24:2]),
    ):
        clip = taken(**choices)
        assert np.array_equal(list(clip.frames()), wanted), choices
        assert clip.info.frames == len(wanted)
    assert taken(fps=30.0).info.rate == 30
    drawn = taken(choice="random", frames=16)
    assert np.array_equal(list(drawn.frames()), whole[drawn.start : drawn.start + 16])


def test_random_starts_depend_on_seed_and_name_alone() -> None:
    rules = Protocol("test", choice="random", frames=16)
    starts = [rules.start(f"video {i}", 40) for i in range(200)]
    assert starts == [rules.start(f"video {i}", 40) for i in range(200)]
    assert set(starts) == set(range(25))
    assert starts != [dataclasses.replace(rules, seed=1).start(f"video {i}", 40) for i in range(200)]
    few = dataclasses.replace(rules, clips=10).drawn([str(i) for i in range(50)])
    assert len(set(few)) == 10 and few == sorted(few) and few != list(range(10))


def test_sizes() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (24, 37, 3), dtype=np.uint8)
    assert SpatialFit()(frame) is frame
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    # The shorter side becomes 16, the longer one 24.67, cut off to 24; four columns go on either side.
    small = F.interpolate(planes, (16, 24), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    cropped = SpatialFit("crop", 16, "torch bilinear antialias")(frame)
    assert np.array_equal(cropped, small[:, 4:20].round().byte().numpy())
    squashed = SpatialFit("squash", 16, "pillow bicubic")
    assert squashed.size(37, 24) == (16, 16)
    resized = np.array(Image.fromarray(frame).resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(squashed(frame), resized)
    # libswscale's and Pillow's bicubic filters differ in a constant, not in kind.
    other = SpatialFit("squash", 16, "swscale bicubic")(frame)
    assert np.abs(other.astype(int) - resized).mean() < 3 and not np.array_equal(other, resized)
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    for name in ("swscale bicubic", "torch bilinear antialias", "pillow bicubic"):
        made = SpatialFit("squash", 32, name)(ramp).astype(int)  # type: ignore[arg-type]
        assert np.abs(made[:, 2:-2] - (8 * np.arange(32) + 2)[None, 2:-2, None]).max() <= 1, name


def test_a_picture_has_its_own_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.full((30, 50, 3), 7, np.uint8))
    clip = Clip(Item("a", path), find_protocol("sweettok"))
    (frame,) = clip.frames()
    assert clip.info.is_image and frame.shape == (256, 256, 3) and clip.info.width == 256


def test_presets_say_everything() -> None:
    assert list(PROTOCOLS) == ["default", "sweettok", "omnitokenizer", "larp", "vidtok", "stylegan-v"]
    for name, preset in PROTOCOLS.items():
        record = json.loads(json.dumps(preset.to_json()))
        assert record["name"] == name and record["source"] and "choice" in record and "frechet" in record
        assert bool(preset.differs) == (name != "default")
    assert PROTOCOLS["sweettok"].to_json()["fit"] == {
        "kind": "squash",
        "side": 256,
        "filter": "swscale bicubic",
    }
    assert PROTOCOLS["sweettok"].rounding == "down"
    assert PROTOCOLS["larp"].splits == {"ucf101": "train"}
    with pytest.raises(SweettokError, match="no protocol 'tats'; choose from default"):
        find_protocol("tats")
    with pytest.raises(ValueError, match="no such choice"):
        Protocol("x", choice="centre")
