"""Runs that are killed end as one that is left alone, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sweettok_cli.training.recipe import Recipe
from tests.killing import ordeal_recipe, suffer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def test_a_run_goes_on_after_kills(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    """Also after one while a checkpoint is written. For longer: python -m tests.killing."""
    suffer(tmp_path, clips, prior, ordeal_recipe(tiny, steps=10), kills=2, in_writing=1)


@pytest.mark.slow
def test_a_long_run_goes_on_after_many_kills(tiny: Recipe, clips: Path, prior: Path, tmp_path: Path) -> None:
    suffer(tmp_path, clips, prior, ordeal_recipe(tiny, steps=200), kills=10, in_writing=2, seed=1)
