"""A tiny generator's settings, and token files of made-up models for it."""

from __future__ import annotations

from pathlib import Path

from sequences.videos import dense, ragged

from sweettok_cli.tokens import write_tokens

TINY = {"preset": "generator-small", "layers": 2, "heads": 2, "width": 32, "inner": 48}


def write_videos(folder: Path, levels: bool, first: int = 0, count: int = 6) -> Path:
    """Videos of two clips each, half of them of one class and half of another."""
    for number in range(first, first + count):
        kind = folder / ("Archery" if number % 2 else "Biking")
        kind.mkdir(parents=True, exist_ok=True)
        make = ragged if levels else dense
        write_tokens(kind / f"{number}.npz", make(number, clips=2))
    return folder
