"""The measurement itself: every item through every method, journaled item by item."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from sweettok_cli.data.datasets import Item
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.method import CodecMethod
from sweettok_cli.evaluation.journal import Journal, item_key
from sweettok_cli.evaluation.method import Clip, Method
from sweettok_cli.evaluation.plan import Plan
from sweettok_cli.evaluation.results import (
    ClipResult,
    Cost,
    CurveResult,
    MethodResult,
    Scorer,
    SourceFeatures,
)
from sweettok_cli.metrics.frechet import SOURCE
from sweettok_cli.metrics.psnr import Psnr
from sweettok_cli.metrics.ssim import Structure
from sweettok_cli.runtime import OnProgress, Watcher
from sweettok_cli.tokens.ragged import TokenMap

_ON_CURVES = ("psnr", "psnr_clip", "psnr_vidtok", "ssim", "ssim_vidtok")
"""Metrics of rate-distortion curves, where they are measured at all; others take too long."""


@dataclass
class Measured:
    """What a run has found."""

    clips: list[ClipResult] = field(default_factory=list)  # the items that could be measured, in their order
    keys: list[str] = field(default_factory=list)  # of their arrays in the journal
    failed: list[tuple[str, str]] = field(default_factory=list)  # name and reason of the others
    resumed: int = 0  # how many an earlier run had measured


def run(plan: Plan, journal: Journal, watch: Watcher, explain: Callable[[Exception], str]) -> Measured:
    """Measure every item that the journal does not hold yet.

    An item that cannot be read is noted and the others are still measured.

    Args:
        plan: what to do.
        journal: open.
        watch: entered for each item; told the frames done and, where it is known, the frames in all.
        explain: one sentence for any error in one item, or raises it again to end everything.
    """
    found = Measured()
    for place, item in enumerate(plan.items):
        key = item_key(item)
        clip = journal.get(key)
        if clip is not None:
            found.resumed += 1
        else:
            with watch(place, len(plan.items), item.name) as on_progress:
                try:
                    clip, arrays = _measure_item(plan, item, on_progress)
                except Exception as error:
                    found.failed.append((item.name, explain(error)))
                    continue
                journal.write(key, clip, arrays)
        found.clips.append(clip)
        found.keys.append(key)
    return found


def _measure_item(
    plan: Plan, item: Item, on_progress: OnProgress
) -> tuple[ClipResult, dict[str, np.ndarray]]:
    """Everything about one item. It depends on nothing but the plan and the item.

    The arrays are named ``METHOD.codes.LIST`` and ``METHOD.METRIC.ARRAY`` with the methods' numbers, and
    ``METRIC.source`` for all of them.
    """
    clip = Clip(item, plan.protocol)
    info = clip.info
    sources: SourceFeatures = {}
    total = None if info.frames is None else info.frames * len(plan.methods)
    done = 0

    def note() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    results = [_measure(plan, clip, model, sources, None, note) for model in plan.models]
    frames = results[0].scores.frames
    curves: dict[str, tuple[CurveResult, ...]] = {}
    if plan.codecs:
        share = results[0].cost.bits / frames
        # Encoders run on one thread each, so that they always give the same bits.
        with ThreadPoolExecutor(len(plan.codecs)) as threads:
            runs = [threads.submit(_measure, plan, clip, c, sources, share, note) for c in plan.codecs]
            results += [codec.result() for codec in runs]
            if plan.curves:
                traced = [threads.submit(_curve, plan, clip, codec) for codec in plan.codecs]
                curves = {codec.name: t.result() for codec, t in zip(plan.codecs, traced, strict=True)}
    arrays: dict[str, np.ndarray] = {}
    for number, result in enumerate(results):
        codes, features = result.cost.codes, result.scores.features
        for part, counts in codes.counts.items() if codes else ():
            arrays[f"{number}.codes.{part}"] = counts
        for metric, kept in features.items():
            for name, array in kept.items():
                # That of the source is the same for all.
                arrays[f"{metric}.{name}" if name == SOURCE else f"{number}.{metric}.{name}"] = array
        result.cost.codes, result.scores.features = None, {}  # on the disk alone: memory stays flat
    found = ClipResult(
        name=item.name,
        label=item.label,
        width=info.width,
        height=info.height,
        frames=frames,
        rate=str(info.rate),
        start=clip.start,
        image=info.is_image,
        methods={method.name: result for method, result in zip(plan.methods, results, strict=True)},
        curves=curves,
    )
    return found, arrays


def _measure(
    plan: Plan,
    clip: Clip,
    method: Method,
    sources: SourceFeatures,
    share: float | None,
    note: Callable[[], None],
) -> MethodResult:
    cost = Cost()
    scorer = Scorer(plan.chosen.metrics, plan.chosen.set_metrics, plan.protocol.window, sources)
    with closing(method.reconstruct(clip, cost, share)) as pairs:
        for source, decoded, begins in pairs:
            scorer.add(source, decoded, begins)
            note()
    scores = scorer.finish()
    if not scores.frames:
        raise SweettokError(
            f"{clip.item.path} holds no frame that can be decoded; it is damaged, fetch it again."
        )
    return MethodResult(scores, cost)


def _curve(plan: Plan, clip: Clip, codec: CodecMethod) -> tuple[CurveResult, ...]:
    quick = [metric for metric in plan.chosen.metrics if isinstance(metric, Psnr | Structure)]
    named = [(type(metric), tuple(name for name in metric.names if name in _ON_CURVES)) for metric in quick]
    metrics = [kind(names) for kind, names in named if names]
    scorers: dict[float, tuple[Scorer, list[int]]] = {}
    for frames, coded in codec.curve(clip):
        scorer, bits = scorers.setdefault(coded.crf, (Scorer(metrics, [], plan.protocol.window), []))
        bits.append(coded.bits)
        for number, (source, decoded) in enumerate(zip(frames, coded.frames, strict=True)):
            scorer.add(source, decoded, number == 0)
    return tuple(
        CurveResult(crf, sum(bits), scorer.finish().values) for crf, (scorer, bits) in scorers.items()
    )


class Shown(NamedTuple):
    """Frames before and after, uint8 ``[t, h, w, 3]``, and of models with levels where their tokens are.

    Squares of ``tokens`` lie over the padded frames; there is one map a frame, that of its latent frame.
    """

    source: np.ndarray
    decoded: np.ndarray
    tokens: TokenMap | None = None


class Media:
    """Gives the frames of any item that was measured, as any method gives them back.

    Nothing is kept from the measurement: the item is read and reconstructed again.
    """

    def __init__(self, plan: Plan, found: Measured) -> None:
        self._plan = plan
        self._items = {item.name: item for item in plan.items}
        self._clips = {clip.name: clip for clip in found.clips}

    def show(self, item: str, method: str, frames: int | None = None) -> Shown:
        """The first ``frames`` frames of an item, by default all, before and after.

        Item and method are named as in the record.

        Raises:
            SweettokError: the item can no longer be read.
        """
        found = self._clips[item]
        clip = Clip(self._items[item], self._plan.protocol)
        one = {each.name: each for each in self._plan.methods}[method]
        share = found.methods[self._plan.models[0].name].cost.bits / found.frames
        maps: list[TokenMap] = []
        with closing(one.reconstruct(clip, Cost(maps=maps), share)) as pairs:
            source, decoded, _ = zip(*islice(pairs, frames), strict=True)
        tokens = TokenMap(maps[0].side, np.stack([each.tokens for each in maps])) if maps else None
        return Shown(np.stack(source), np.stack(decoded), tokens)
