"""A few cases of every kind, in a process of their own, as ``make fuzz`` runs thousands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = {"tokens": 15, "packed": 20, "media": 12, "models": 8, "pickles": 15, "shards": 15}


def test_a_few_hostile_files_of_every_kind() -> None:
    cases = [word for kind, count in CASES.items() for word in (f"--{kind}", str(count))]
    command = [sys.executable, "-m", "tests.fuzz", *cases, "--jobs", "1", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert all(f"{kind}: {count} cases" in done.stdout for kind, count in CASES.items())
