"""What a run measures on what, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from sweettok_cli.data.datasets import DataSet, Item, open_dataset
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.method import CodecMethod
from sweettok_cli.evaluation.method import Method, ModelMethod
from sweettok_cli.evaluation.protocol import Protocol, find_protocol
from sweettok_cli.metrics.choice import Chosen, choose
from sweettok_cli.metrics.network_files import SearchPath
from sweettok_cli.video.source import PICTURES


@dataclass(frozen=True)
class Plan:
    """What is measured on what, and how."""

    data: DataSet
    items: list[Item]  # those of the data set that are measured
    protocol: Protocol
    models: list[ModelMethod]  # at least one; codecs are given the bits of the first
    codecs: list[CodecMethod] = field(default_factory=list)
    chosen: Chosen = field(default_factory=Chosen)
    curves: bool = True  # whether codecs are also measured at their own rate factors

    @property
    def methods(self) -> list[Method]:
        """Models, then codecs."""
        return [*self.models, *self.codecs]


def make_plan(
    target: str,
    models: Sequence[str],
    *,
    data: Path | None = None,
    split: str | None = None,
    frames: bool = False,
    rate: Fraction | None = None,
    protocol: str = "default",
    metrics: Sequence[str] | None = None,
    codecs: Sequence[str] = (),
    curves: bool = True,
    limit: int | None = None,
    features: Path | None = None,
    overlap: int = 0,
    keep_going: bool = False,
    strict: bool = False,
    sample: int | None = None,
    batch_clips: int | None = None,
    device: str = "auto",
    dtype: str = "auto",
    announce: Callable[[str], None] | None = None,
) -> Plan:
    """Find the data and the protocol, then load the models and the networks of the metrics.

    Arguments are those of ``sweettok eval``, by default the protocol's; ``models`` are names or folders, at
    least one, and ``announce`` is told before weights are fetched.

    Raises:
        SweettokError: one of the names is unknown, or something is not there.
    """
    from sweettok_cli.zoo.load import load

    # Everything that can be wrong is found before a model is loaded, which takes seconds.
    rules = find_protocol(protocol)
    found = open_dataset(target, data, split or rules.splits.get(target.lower()), frames=frames, rate=rate)
    baselines = [CodecMethod(name) for name in codecs]
    loaded = [
        ModelMethod(
            load(name, device, dtype, sample=sample),
            batch_clips=batch_clips,
            overlap=overlap,
            truncate=rules.rounding == "down",
            sample=sample,
        )
        for name in models
    ]
    names = [model.name for model in loaded]
    for model, given in zip(loaded, models, strict=True):
        if names.count(model.name) > 1:  # told apart by what was asked for
            model.name = given
    if metrics is None:
        pictures = all(item.path.suffix.lower() in PICTURES for item in found.items)
        metrics = rules.picture_metrics if pictures else rules.metrics
    if features is not None and not features.is_dir():
        raise SweettokError(f"{features} is not a folder; give one with the weights that metrics need.")
    chosen = choose(
        metrics,
        search=SearchPath(features, announce=announce),
        device=getattr(loaded[0].tokenizer, "device", "cpu"),
        rule=rules.frechet,
    )
    drawn = [found.items[place] for place in rules.drawn([item.name for item in found.items])][:limit]
    items = [replace(item, keep_going=keep_going, strict=strict) for item in drawn]
    return Plan(found, items, rules, loaded, baselines, chosen, curves)
