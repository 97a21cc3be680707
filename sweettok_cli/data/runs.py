"""Folders of training runs, as a search for clips meets them: what a run has drawn is no clip."""

from __future__ import annotations

from pathlib import Path

RECIPE_FILE = "recipe.toml"  # of the run
RECORD_FILE = "run.json"  # where its data lie
SAMPLES = "samples"  # the folder of what it draws


def is_of_run(folder: Path) -> bool:
    """Whether a folder is a run's, or that of its samples."""
    return _is_run(folder) or (folder.name == SAMPLES and _is_run(folder.parent))


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (RECIPE_FILE, RECORD_FILE))
