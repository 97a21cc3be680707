"""The measurement itself: every item through every contender, journaled item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweettok_cli.data.datasets.dataset import DataSet, Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.clip import Clip
from sweettok_cli.evaluation.codecs.method import CodecContender
from sweettok_cli.evaluation.journal import Journal, fingerprint, item_key
from sweettok_cli.evaluation.method import Contender, Spent
from sweettok_cli.evaluation.model_method import ModelContender
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.evaluation.scoring import ItemScores, Scorer, SourceFeatures
from sweettok_cli.metrics.choice import Chosen
from sweettok_cli.metrics.frechet import SOURCE
from sweettok_cli.metrics.metric import Metric
from sweettok_cli.metrics.psnr import Psnr
from sweettok_cli.metrics.ssim import Structure
from sweettok_cli.runtime import OnProgress, Watcher, __version__, versions

_LAYOUT = 2
"""Of rows and arrays; another number makes older journals those of another run."""

_ON_CURVES = ("psnr", "psnr_clip", "psnr_vidtok", "ssim", "ssim_vidtok")
"""Metrics of rate-distortion curves, where they are measured at all; others take too long."""


@dataclass(frozen=True)
class Plan:
    """What is measured on what, and how.

    Attributes:
        data: the data set.
        items: those of its items that are measured.
        protocol: how.
        models: at least one; codecs are given the bits of the first.
        codecs: to compare with.
        chosen: the metrics.
        curves: whether codecs are also measured at their own rate factors.
    """

    data: DataSet
    items: list[Item]
    protocol: Protocol
    models: list[ModelContender]
    codecs: list[CodecContender] = field(default_factory=list)
    chosen: Chosen = field(default_factory=Chosen)
    curves: bool = True

    @property
    def contenders(self) -> list[Contender]:
        """Models, then codecs."""
        return [*self.models, *self.codecs]

    @property
    def fingerprint(self) -> str:
        """Of everything that the measurement of one item depends on, but the item."""
        return fingerprint(
            {
                "layout": _LAYOUT,
                "versions": {"sweettok": __version__} | versions(),
                "protocol": self.protocol.record(),
                "contenders": [[c.name, c.kind, c.describe()] for c in self.contenders],
                "metrics": [metric.definitions for metric in self.chosen.metrics],
                "set_metrics": [[metric.name, metric.definition] for metric in self.chosen.set_metrics],
                "curves": self.curves,
            }
        )


@dataclass
class Measured:
    """What a run has found.

    Attributes:
        rows: of the items that could be measured, in their order; see :func:`measure_item`.
        keys: of their arrays in the journal.
        failed: name and reason of the others.
        resumed: how many rows an earlier run had measured.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    resumed: int = 0


def run(
    plan: Plan,
    journal: Journal,
    *,
    watch: Watcher | None = None,
    explain: Callable[[Exception], str] | None = None,
) -> Measured:
    """Measure every item that the journal does not hold yet.

    An item that cannot be read is noted and the others are still measured.

    Args:
        plan: what to do.
        journal: open.
        watch: entered for each item with its place, their number and its name; gives what is called with the
            frames done and, where it is known, the frames in all.
        explain: one sentence for any error in one item, or raises it again to end everything. Without it only
            errors meant for the user are noted, and any other ends the run.
    """
    found = Measured()
    for place, item in enumerate(plan.items):
        key = item_key(item)
        row = journal.get(key)
        if row is not None:
            found.resumed += 1
        else:
            with watch(place, len(plan.items), item.name) if watch else nullcontext() as on_progress:
                try:
                    row, arrays = measure_item(plan, item, on_progress)
                except Exception as error:
                    found.failed.append((item.name, (explain or _own_errors)(error)))
                    continue
                journal.write(key, row, arrays)
        found.rows.append(row)
        found.keys.append(key)
    return found


def _own_errors(error: Exception) -> str:
    if not isinstance(error, SweettokError):
        raise error
    return str(error)


def measure_item(
    plan: Plan, item: Item, on_progress: OnProgress | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Everything about one item, as plain values and arrays. It depends on nothing but the plan and the item.

    Returns:
        The row: name, label, size, rate, ``image``; by contender its scores (:meth:`ItemScores.record`) and
        costs; by codec the points of its curve. And the arrays, named ``CONTENDER.codes.LIST`` and
        ``CONTENDER.METRIC.ARRAY`` with the contenders' numbers, ``METRIC.source`` for all of them.

    Raises:
        SweettokError: the item cannot be read, or does not suit a contender.
    """
    clip = Clip(item, plan.protocol)
    info = clip.info
    sources: SourceFeatures = {}
    total = None if info.frames is None else info.frames * len(plan.contenders)
    done = 0

    def note() -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, total)

    results = [_measure(plan, clip, model, sources, None, note) for model in plan.models]
    curves: dict[str, list[dict[str, Any]]] = {}
    if plan.codecs:
        spent, scores = results[0]
        share = spent.bits / scores.frames
        # Encoders run on one thread each, so that they always give the same bits.
        with ThreadPoolExecutor(len(plan.codecs)) as threads:
            runs = [threads.submit(_measure, plan, clip, c, sources, share, note) for c in plan.codecs]
            results += [codec.result() for codec in runs]
            if plan.curves:
                traced = [threads.submit(_curve, plan, clip, codec) for codec in plan.codecs]
                curves = {codec.name: t.result() for codec, t in zip(plan.codecs, traced, strict=True)}
    arrays: dict[str, np.ndarray] = {}
    row: dict[str, Any] = {
        "name": item.name,
        "label": item.label,
        "width": info.width,
        "height": info.height,
        "frames": results[0][1].frames,
        "image": info.is_image,
        "rate": str(info.rate),
        "start": clip.start,
        "results": {},
        "curves": curves,
    }
    for number, (contender, (spent, scores)) in enumerate(zip(plan.contenders, results, strict=True)):
        row["results"][contender.name] = {**scores.record(), **_cost(spent)}
        if spent.codes is not None:
            for part, counts in spent.codes.counts.items():
                arrays[f"{number}.codes.{part}"] = counts
        for metric, kept in scores.features.items():
            for name, array in kept.items():
                if name == SOURCE:  # the same for all
                    arrays[f"{metric}.{name}"] = array
                else:
                    arrays[f"{number}.{metric}.{name}"] = array
    return row, arrays


def _measure(
    plan: Plan,
    clip: Clip,
    contender: Contender,
    sources: SourceFeatures,
    share: float | None,
    note: Callable[[], None],
) -> tuple[Spent, ItemScores]:
    spent = Spent()
    scorer = Scorer(plan.chosen.metrics, plan.chosen.set_metrics, plan.protocol.window, sources)
    with closing(contender.reconstruct(clip, spent, share)) as pairs:
        for source, decoded, begins in pairs:
            scorer.add(source, decoded, begins)
            note()
    scores = scorer.finish()
    if not scores.frames:
        raise SweettokError(
            f"{clip.item.path} holds no frame that can be decoded; it is damaged, fetch it again."
        )
    return spent, scores


def _cost(spent: Spent) -> dict[str, Any]:
    return {
        "bits": spent.bits,
        "tokens": spent.tokens,
        "indices": spent.indices,
        "clips": spent.clips,
        "settings": spent.settings,
        "limits": spent.limits,
        "seconds": {"encode": spent.encode, "decode": spent.decode},
    }


def _curve(plan: Plan, clip: Clip, codec: CodecContender) -> list[dict[str, Any]]:
    metrics = list(_curve_metrics(plan.chosen.metrics))
    scorers: dict[float, tuple[Scorer, list[float]]] = {}
    for frames, outcome in codec.curve(clip):
        scorer, bits = scorers.setdefault(outcome.crf, (Scorer(metrics, [], plan.protocol.window), []))
        bits.append(outcome.bits)
        for number, (source, decoded) in enumerate(zip(frames, outcome.frames, strict=True)):
            scorer.add(source, decoded, number == 0)
    return [
        {"setting": crf, "bits": sum(bits), **scorer.finish().record()}
        for crf, (scorer, bits) in scorers.items()
    ]


def _curve_metrics(metrics: list[Metric]) -> Iterator[Metric]:
    for metric in metrics:
        names = tuple(name for name in metric.names if name in _ON_CURVES)
        if names and isinstance(metric, Psnr | Structure):
            yield type(metric)(names)
