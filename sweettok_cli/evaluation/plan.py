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
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.video.source import PICTURES


@dataclass(frozen=True)
class Plan:
    """What is measured on what, and how."""

    data: DataSet
    items: list[Item]  # those of the data set that are measured
    protocol: Protocol
    models: list[ModelMethod]  # at least one, with a budget each; codecs are given the bits of the first
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
    budgets: Sequence[Budget] = (),
    codecs: Sequence[str] = (),
    gop: int | None = None,
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
    least one, each loaded once whatever the ``budgets``, and ``announce`` is told before weights are fetched.

    Raises:
        SweettokError: one of the names is unknown, something is not there, or no model has levels.
    """
    from sweettok_cli.zoo.load import load

    # Everything that can be wrong is found before a model is loaded, which takes seconds.
    rules = find_protocol(protocol)
    found = open_dataset(target, data, split or rules.splits.get(target.lower()), frames=frames, rate=rate)
    baselines = [CodecMethod(name, gop) for name in codecs]
    tokenizers = [load(name, device, dtype, sample=sample) for name in models]
    if budgets and not any(tokenizer.spec.levels for tokenizer in tokenizers):
        raise SweettokError(
            f"{' and '.join(models)} give every clip the same number of tokens; leave out --budgets, or name "
            "a model with levels."
        )
    methods = [
        ModelMethod(
            tokenizer,
            name,
            batch_clips=batch_clips,
            overlap=overlap,
            truncate=rules.rounding == "down",
            sample=sample,
            budget=budget,
        )
        for tokenizer, name in zip(tokenizers, _names(tokenizers, models), strict=True)
        for budget in (budgets if budgets and tokenizer.spec.levels else [USUAL])
    ]
    if metrics is None:
        pictures = all(item.path.suffix.lower() in PICTURES for item in found.items)
        metrics = rules.picture_metrics if pictures else rules.metrics
    if features is not None and not features.is_dir():
        raise SweettokError(f"{features} is not a folder; give one with the weights that metrics need.")
    chosen = choose(
        metrics,
        search=SearchPath(features, announce=announce),
        device=getattr(tokenizers[0], "device", "cpu"),
        rule=rules.frechet,
    )
    drawn = [found.items[place] for place in rules.drawn([item.name for item in found.items])][:limit]
    items = [replace(item, keep_going=keep_going, strict=strict) for item in drawn]
    return Plan(found, items, rules, methods, baselines, chosen, curves)


def _names(tokenizers: Sequence[Tokenizer], given: Sequence[str]) -> list[str]:
    """Their own, or where several have the same one what was asked for."""
    own = [tokenizer.spec.name for tokenizer in tokenizers]
    return [name if own.count(name) == 1 else asked for name, asked in zip(own, given, strict=True)]
