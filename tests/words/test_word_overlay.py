from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from test_word_map import make_tokens, word_map

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, VideoWriter, write_image
from sweettok_cli.words.overlay import MOVING, WordOverlay, write_overlay

GREY = 100


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) < 60).all(axis=-1)


def still(count: int, moving: bool = False) -> list[np.ndarray]:
    """Grey frames; the first tile flickers if asked to."""
    frames = [np.full((100, 150, 3), GREY, np.uint8) for _ in range(count)]
    for number, frame in enumerate(frames):
        if moving:
            frame[:64, :64] += np.uint8(20 * (number % 2))
    return frames


def film(path: Path, frames: list[np.ndarray]) -> Path:
    with VideoWriter(path, 150, 100, Fraction(25)) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_words_lie_in_their_regions_and_motion_only_where_it_moves() -> None:
    overlay = WordOverlay(word_map(make_tokens()))
    assert (overlay.width, overlay.height) == (412, 276)
    (picture,) = list(overlay.draw(0, still(1)))
    assert picture.shape == (276, 412, 3)
    scale = 176 / 64
    tiles = [
        picture[
            round(top * scale) : round((top + 36) * scale), round(left * scale) : round((left + 64) * scale)
        ]
        for top in (28, 64)
        for left in (0, 64)
    ]
    for tile in tiles:
        assert near(tile, (255, 255, 255)).sum() > 50
    # The last column is 22 pixels wide: too narrow for words.
    assert not near(picture[2:170, 356:], (255, 255, 255)).any()
    assert not near(picture, MOVING).any()
    first, *_ = overlay.draw(0, still(17, moving=True))
    assert near(first[:176, :176], MOVING).sum() > 50
    assert not near(first[:, 180:], MOVING).any()


def test_a_large_frame_is_not_enlarged_beyond_what_players_take() -> None:
    meta = make_tokens().meta
    large = type(meta)(
        **{**vars(meta), "width": 1900, "height": 1000, "padded_width": 1920, "padded_height": 1024}
    )
    overlay = WordOverlay(word_map(type(make_tokens())(make_tokens().arrays, large)))
    assert max(overlay.width, overlay.height) <= 1920


def test_the_video_has_the_length_and_rate_of_the_source(tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", still(34, moving=True))
    seen: list[tuple[int, int | None]] = []
    write_overlay(
        word_map(make_tokens()),
        source,
        tmp_path / "words.mp4",
        on_progress=lambda done, of: seen.append((done, of)),
    )
    with VideoReader(tmp_path / "words.mp4") as reader:
        assert (reader.info.width, reader.info.height, reader.info.rate) == (412, 276, 25)
        assert sum(1 for _ in reader) == 34
    assert seen[-1] == (34, 34)


@pytest.mark.parametrize("count", [33, 35, 60])
def test_a_source_of_another_length_leaves_nothing(tmp_path: Path, count: int) -> None:
    source = film(tmp_path / "clip.mp4", still(count))
    with pytest.raises(SweettokError, match="is not what these tokens were made from"):
        write_overlay(word_map(make_tokens()), source, tmp_path / "words.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_picture_becomes_a_picture_and_no_video_fits_it(tmp_path: Path) -> None:
    write_image(tmp_path / "clip.png", still(1)[0])
    words = word_map(make_tokens(image=True))
    write_overlay(words, tmp_path / "clip.png", tmp_path / "words.png")
    with VideoReader(tmp_path / "words.png") as reader:
        assert (reader.info.width, reader.info.height) == (412, 276)
    film(tmp_path / "clip.mp4", still(1))
    with pytest.raises(SweettokError, match="--source"):
        write_overlay(words, tmp_path / "clip.mp4", tmp_path / "other.png")
