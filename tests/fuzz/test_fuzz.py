"""A few cases of every kind, in a process of their own as ``make fuzz`` runs thousands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = {"tokens": 25, "media": 12, "models": 8, "pickles": 20}


@pytest.mark.parametrize("kind", CASES)
def test_a_few_hostile_files(kind: str) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        f"--{kind}",
        str(CASES[kind]),
        "--jobs",
        "1",
        "--seed",
        "1",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"{kind}: {CASES[kind]} cases" in done.stdout
