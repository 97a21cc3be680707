"""Folders of token files of made-up models, and a recipe that trains a tiny network on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_generator import TINY, write_videos

from sweettok_cli.training.recipe import Recipe
from sweettok_cli.training.recipe_file import recipe_from


@pytest.fixture(scope="session")
def token_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Folders of such videos, without levels and with them."""
    root = tmp_path_factory.mktemp("tokens")
    return {levels: write_videos(root / str(levels), levels) for levels in (False, True)}


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """The recipe with changes."""

    def changed(**changes: Any) -> Recipe:
        values = {
            "steps": 6,
            "frames": 34,
            "crop": [[64, 4, 1.0]],
            "lr": 1e-2,
            "warmup": 1,
            "ema": 0.5,
            "precision": "fp32",
            "log_every": 1,
            "checkpoint_every": 0,
            "sample_every": 0,
            "validate_every": 0,
            "prefetch": 2,
            "model": TINY,
        }
        return recipe_from(values | changes, "test")

    return changed
