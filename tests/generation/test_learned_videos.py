"""What a generator learns from: token files, folders and shards give the same videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_run import Heard

from sweettok_cli.cli.trainable import task_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.task import GeneratorTask
from sweettok_cli.generation.videos import SymbolVideos, read_videos
from sweettok_cli.pipeline.export_folder import export_folder
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.training.recipe import Recipe


def symbols(given: list[Path], classes: bool = True) -> dict[tuple[str | None, bytes], int]:
    found = SymbolVideos(read_videos(given, classes, ignore_progress))
    return {(v.label, np.concatenate(v.clips).tobytes()): v.tokens for v in found.videos}


@pytest.mark.parametrize("kind", ["webdataset", "megatron"])
@pytest.mark.parametrize("levels", [False, True])
def test_shards_hold_the_same_videos(
    token_folders: dict[bool, Path], tmp_path: Path, kind: str, levels: bool
) -> None:
    export_folder([token_folders[levels]], tmp_path / "shards", kind, classes=True, shard_bytes=200)
    told: list[tuple[int, int]] = []
    list(read_videos([tmp_path / "shards"], True, lambda *each: told.append(each)))
    assert told == [(n, 6) for n in range(1, 7)]
    expected = symbols([token_folders[levels]])
    assert {label for label, _ in expected} == {"Archery", "Biking"} and len(expected) == 6
    assert symbols([tmp_path / "shards"]) == expected
    assert {label for label, _ in symbols([tmp_path / "shards"], classes=False)} == {None}


def test_files_and_shards_together(token_folders: dict[bool, Path], tmp_path: Path) -> None:
    some, others = token_folders[False] / "Archery", token_folders[False] / "Biking"
    export_folder([some], tmp_path / "shards", "webdataset")
    found = list(read_videos([others, tmp_path / "shards"], False, ignore_progress))
    assert len(found) == 6
    assert {Path(video.name).stem for video in found} == {str(n) for n in range(6)}


def test_shards_without_classes_have_none_to_give(token_folders: dict[bool, Path], tmp_path: Path) -> None:
    export_folder([token_folders[False]], tmp_path / "shards", "webdataset")
    with pytest.raises(SweettokError, match=r"shards does not say of which classes .*--classes"):
        symbols([tmp_path / "shards"])


def test_a_run_learns_from_shards(
    recipe: Callable[..., Recipe], token_folders: dict[bool, Path], tmp_path: Path
) -> None:
    export_folder([token_folders[False]], tmp_path / "shards", "megatron", classes=True)
    task = task_of(recipe(classes=True), None, None)
    assert isinstance(task, GeneratorTask)
    source = task.batches([tmp_path / "shards"], None, 0, 1, Heard())
    assert task.card.vocabulary.classes == ("Archery", "Biking")
    assert source.batch(0).symbols.shape[0] == 4
    with pytest.raises(SweettokError, match="never trained on"):
        held = recipe(classes=True, validate_every=1)
        again = task_of(held, None, None)
        again.batches([tmp_path / "shards"], tmp_path / "shards", 0, 1, Heard())
