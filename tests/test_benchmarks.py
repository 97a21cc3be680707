"""Benchmarks that cannot measure say why in a sentence, as the program does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("language", "family vidtok-fsq; "),
        ("loader", "nope do not exist; "),
        ("crops", "nope do not exist; "),
        ("levels", "nope do not exist; "),
        ("packing", "nope does not exist; "),
        ("tokens_a_second", "nope does not exist; "),
        ("recognition", "nope has no clips.csv; "),
        ("search", "nope do not exist; "),
        ("generator", "nope does not exist; "),
        ("continuation", "nope does not exist; "),
        ("heads", "nope does not exist; "),
        ("gallery", "nope does not exist; "),
        ("short_clips", "nope cannot be read ("),
    ],
)
def test_what_cannot_be_measured_is_said(
    families: dict[str, Path], tmp_path: Path, name: str, words: str
) -> None:
    nope = tmp_path / "nope"
    small = families["vidtok-fsq-causal"]
    given = {
        "language": [small],
        "loader": ["--data", nope],
        "crops": [nope],
        "levels": [nope, small],
        "packing": [nope, "--model", small],
        "tokens_a_second": ["--tokens", nope],
        "recognition": [nope, nope],
        "search": [nope, nope, "--ucf", nope],
        "generator": [nope, "--train", nope, "--val", nope],
        "continuation": [nope, nope],
        "heads": ["--train", nope, "--val", nope],
        "gallery": [nope],
        "short_clips": ["--clips", nope],
    }[name]
    ran = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{name}.py", *given, "--output", tmp_path / "found.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1 and not ran.stdout and not (tmp_path / "found.json").exists()
    (line,) = ran.stderr.splitlines()
    assert words in line
