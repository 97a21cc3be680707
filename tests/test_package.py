"""What `pip install .` puts on a machine."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_wheel_carries_the_default_model(tmp_path: Path) -> None:
    """Needs the package index for the build backend."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("sweettok-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in ("config.json", "model.safetensors", "words.json", "README.md"):
        assert f"sweettok_cli/_weights/sweettok-small/{file}" in names
    assert "sweettok/__init__.py" in names
    assert "sweettok_cli/training/recipes/sweettok-small-stage2.toml" in names
    assert not any(name.startswith("tests/") for name in names)
