"""Validation figure and sample grid on reconstructions that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweettok_cli.data.clips import find_entries
from sweettok_cli.training.samples import SampleGrid, centre_clip, validation_psnr
from sweettok_cli.video.reader import read_clip


@pytest.mark.parametrize(("multiple", "padded"), [(64, (128, 128)), (24, (96, 96)), (256, (256, 256))])
def test_figure_is_the_mean_over_frames_and_clips_without_padding(
    clips: Path, multiple: int, padded: tuple[int, int]
) -> None:
    entries = find_entries([clips / "inner"])
    shapes = []

    def off_by_five(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape)
        made = batch.astype(np.int16)
        made += np.where(made > 127, -5, 5).astype(np.int16)
        made[:, :, 80:] = 0  # only padding lies there: the clips are 96x80
        return made.astype(np.uint8)

    assert validation_psnr(entries, 17, multiple, off_by_five) == pytest.approx(
        20 * np.log10(255 / 5), abs=1e-6
    )
    assert shapes == [(1, 17, *padded, 3)] * 3


def test_centre_is_cut_and_short_clips_filled(clips: Path) -> None:
    short = next(e for e in find_entries([clips / "shard.tar"]) if e.name == "packed2.mp4")
    whole = read_clip(short.source(), 0, 9)
    cut = centre_clip(short, 17, 64)
    assert cut.shape == (17, 64, 64, 3)
    assert np.array_equal(cut[:9], whole[:, 8:72, 16:80]) and np.array_equal(cut[16], cut[8])


def test_grid_shows_source_beside_result(clips: Path, tmp_path: Path) -> None:
    grid = SampleGrid(find_entries([clips / "inner"])[:2], 17, 64, 64)
    grid.draw(lambda batch: 255 - batch, tmp_path / "samples" / "1.png")
    with Image.open(tmp_path / "samples" / "1.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * 64, 6 * 64, 3)
    for row in range(2):
        for i, t in enumerate((0, 8, 16)):
            tile = pixels[row * 64 : row * 64 + 64, i * 128 : i * 128 + 128]
            assert np.array_equal(tile[:, :64], grid.clips[row, t])
            assert np.array_equal(tile[:, 64:], 255 - grid.clips[row, t])
