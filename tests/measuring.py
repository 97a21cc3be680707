"""A folder of real files, and runs over it with a tokenizer and a feature network that need no weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from block_tokenizer import BlockTokenizer

from sweettok_cli.data.datasets import open_dataset
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.method import CodecMethod
from sweettok_cli.evaluation.journal import Journal, run_key
from sweettok_cli.evaluation.method import ModelMethod
from sweettok_cli.evaluation.plan import Plan
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.evaluation.run import Measured, run
from sweettok_cli.evaluation.summary import make_record
from sweettok_cli.metrics.choice import choose
from sweettok_cli.metrics.frechet import FeatureDistance
from sweettok_cli.metrics.network_files import I3D_PORT
from sweettok_cli.models.common.budget import USUAL
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.runtime import OnProgress, Watcher
from sweettok_cli.video import VideoWriter, write_image


class Colours:
    """Mean colours stand in for the features of a network."""

    file = I3D_PORT
    words = "mean colours"
    size = 3
    least_frames = 3

    def __init__(self) -> None:
        self.calls = 0

    def features(self, clip: np.ndarray) -> np.ndarray:
        self.calls += 1
        return clip.mean(axis=(0, 1, 2), dtype=np.float64)[None].astype(np.float32)


def film(path: Path, frames: int, width: int, height: int, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    ground = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    with VideoWriter(path, width, height, Fraction(25), crf=20) as writer:
        for number in range(frames):
            writer.write(np.roll(ground, 2 * number, axis=1))
    return path


def fill(folder: Path) -> Path:
    """Two videos and a picture."""
    (folder / "below").mkdir(parents=True)
    film(folder / "b.mp4", 20, 70, 50)
    film(folder / "below" / "a.MOV", 3, 64, 64, seed=1)
    write_image(folder / "c.png", np.random.default_rng(2).integers(0, 256, (30, 90, 3), dtype=np.uint8))
    return folder


def make_plan(folder: Path, *tokenizers: Tokenizer, **changes: Any) -> Plan:
    """A plan of the default protocol; ``metrics``, ``budgets``, ``codecs`` and more change it."""
    chosen = choose(changes.pop("metrics", ("psnr", "psnr_clip", "ssim", "psnr_global")))
    chosen.set_metrics += changes.pop("set_metrics", [])
    data = open_dataset(str(folder))
    overlap = changes.pop("overlap", 0)
    names = changes.pop("names", None) or [""] * max(1, len(tokenizers))
    budgets = changes.pop("budgets", [USUAL])
    models = [
        ModelMethod(tokenizer, name, overlap=overlap, budget=budget)
        for tokenizer, name in zip(tokenizers or [BlockTokenizer()], names, strict=True)
        for budget in budgets
    ]
    gop = changes.pop("gop", None)
    codecs = [CodecMethod(name, gop) for name in changes.pop("codecs", ())]
    return Plan(
        data, data.items, changes.pop("protocol", Protocol("default")), models, codecs, chosen, **changes
    )


def unwatched(place: int, items: int, name: str) -> AbstractContextManager[OnProgress]:
    return nullcontext(lambda done, total: None)


def own_errors(error: Exception) -> str:
    if not isinstance(error, SweettokError):
        raise error
    return str(error)


def measure(
    plan: Plan,
    journals: Path,
    watch: Watcher = unwatched,
    explain: Callable[[Exception], str] = own_errors,
) -> tuple[dict[str, Any], Measured]:
    """The record of a plan as JSON; an error that is not for the user ends the run unless it is explained."""
    with Journal(journals, run_key(plan)) as journal:
        found = run(plan, journal, watch, explain)
        return make_record(plan, found, journal, "sweettok eval").to_json(), found


def colour_distance() -> FeatureDistance:
    return FeatureDistance("rfvd", Colours())


def without_times(value: Any) -> Any:
    """A record without what the clock said."""
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in ("seconds", "date")}
    return [without_times(each) for each in value] if isinstance(value, list) else value
