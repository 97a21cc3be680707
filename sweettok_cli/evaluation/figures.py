"""From the clips of a run to the figures of one method: means with intervals, costs, use of the codebooks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sweettok_cli.evaluation.journal import Journal
from sweettok_cli.evaluation.method import Method, ModelMethod
from sweettok_cli.evaluation.plan import Plan
from sweettok_cli.evaluation.record import (
    Better,
    CodebookFacts,
    Figure,
    HistogramBin,
    MethodFacts,
    Seconds,
    SetCost,
    TopCode,
)
from sweettok_cli.evaluation.results import ClipResult
from sweettok_cli.evaluation.run import Measured
from sweettok_cli.metrics.bootstrap import CONFIDENCE, RESAMPLES, Interval, mean_interval
from sweettok_cli.metrics.codebook_use import CodeCounts, list_use
from sweettok_cli.metrics.comparison import SeamFlicker
from sweettok_cli.metrics.metric import Features, NotMeasured, SetMetric
from sweettok_cli.metrics.psnr import GlobalPsnr, decibels
from sweettok_cli.pipeline.missed import WHY

_TOP_WORDS = 20
_NO_CLIP = "no clip was measured."
_NO_SEAM = "no video is longer than a clip of the model."


_CODEC_LIMITS = {
    "floor": "cannot go down to the model's bits, so it spends more",
    "ceiling": "does not need as many bits as the model at its best quality",
}
_MODEL_LIMITS = {
    "floor": f"has more than its budget asks for, as {WHY['floor']}",
    "ceiling": f"has less than its budget asks for, as {WHY['ceiling']}",
}


class Definition(NamedTuple):
    """What a figure is: one exact sentence, the unit, and which direction is better."""

    definition: str
    unit: str
    better: Better


BITS_PER_PIXEL = Definition(
    "True bits over the pixels of all frames at the size that is measured, padding not counted.",
    "bits",
    "lower",
)
_KBIT_PER_SECOND = Definition(
    "Thousand true bits over the seconds that the frames of all videos last; still pictures left out.",
    "kbit/s",
    "lower",
)
_FLICKER = Definition(
    "Mean change of the error (reconstruction minus source) from one frame to the next inside clips, over "
    "pixels and RGB channels, in 8-bit steps.",
    "8-bit steps",
    "lower",
)
_SEAM_ENERGY = Definition(
    "The same change of the error at the frames with which a clip of the model begins, in 8-bit steps.",
    "8-bit steps",
    "lower",
)
_SEAM_FLICKER = Definition(
    "Seam energy over temporal flicker: 1 means that borders between clips do not show.", "", "lower"
)


def definitions(plan: Plan) -> dict[str, Definition]:
    """Of every metric of clips that is measured, by name."""
    return {
        name: Definition(metric.definitions[name], metric.unit, _better(metric.higher_is_better))
        for metric in plan.chosen.metrics
        for name in metric.names
    }


def average_weights(plan: Plan, clips: Sequence[ClipResult]) -> list[float] | None:
    """How much each clip counts in a mean: its frames, or (None) as much as any other."""
    return [clip.frames for clip in clips] if plan.protocol.average == "frames" else None


def method_facts(plan: Plan, found: Measured, journal: Journal, method: Method) -> MethodFacts:
    """All of one method over the whole set."""
    settings = method.describe()
    summary = _Summary(plan, found, journal, method)
    summary.add_all()
    costs = [clip.methods[method.name].cost for clip in found.clips]
    pictures = bool(found.clips) and all(clip.image for clip in found.clips)
    return MethodFacts(
        name=method.name,
        kind=method.kind,
        family=settings.pop("family", None),
        weights_sha256=settings.pop("weights_sha256", None),
        budget=settings.pop("budget", None),
        settings=settings,
        summary=summary.figures,
        not_measured={**plan.chosen.not_measured, **summary.missing},
        warnings=tuple(summary.warnings),
        cost=SetCost(
            clips=sum(cost.clips for cost in costs),
            tokens=sum(cost.tokens for cost in costs),
            indices=sum(cost.indices for cost in costs),
            bits=math.fsum(cost.bits for cost in costs),
            clip_256=method.clip_cost(pictures) if isinstance(method, ModelMethod) else None,
        ),
        codebooks=_codebooks(plan, found, journal, method) if isinstance(method, ModelMethod) else {},
        seconds=Seconds(math.fsum(cost.encode for cost in costs), math.fsum(cost.decode for cost in costs)),
    )


class _Summary:
    """The figures of one method as they are gathered: those there are, why others are not, and warnings."""

    def __init__(self, plan: Plan, found: Measured, journal: Journal, method: Method) -> None:
        self.figures: dict[str, Figure] = {}
        self.missing: dict[str, str] = {}
        self.warnings: list[str] = []
        self._plan, self._found, self._journal, self._method = plan, found, journal, method
        self._clips = found.clips
        self._results = [clip.methods[method.name] for clip in found.clips]

    def add_all(self) -> None:
        """In the order of the record."""
        for name, definition in definitions(self._plan).items():
            self._add_metric(name, definition)
        set_metrics = self._plan.chosen.set_metrics
        if any(isinstance(metric, GlobalPsnr) for metric in set_metrics):
            self._add_global_psnr()
        costs = list(zip((result.cost for result in self._results), self._clips, strict=True))
        bits = [(cost.bits, float(clip.pixels)) for cost, clip in costs]
        self._add_ratio("bits_per_pixel", bits, BITS_PER_PIXEL, _NO_CLIP)
        rates = [(cost.bits / 1000, clip.seconds) for cost, clip in costs if not clip.image]
        self._add_ratio("kbit_per_second", rates, _KBIT_PER_SECOND, "no video was measured.")
        self._add_flicker()
        for metric in set_metrics:
            if not isinstance(metric, GlobalPsnr):
                self._add_set_metric(metric)
        self._add_limits()

    def _add(self, name: str, interval: Interval, definition: Definition, mean: float | None = None) -> None:
        self.figures[name] = Figure(**vars(interval), **definition._asdict(), mean_of_clips=mean)

    def _add_metric(self, name: str, definition: Definition) -> None:
        scores = [result.scores for result in self._results]
        scored = [clip for clip, each in zip(self._clips, scores, strict=True) if name in each.values]
        reasons = {each.not_measured[name] for each in scores if name in each.not_measured}
        if not scored:
            self.missing[name] = min(reasons, default=_NO_CLIP)
            return
        if len(scored) < len(self._clips):
            self._warn_of_some(name, len(scored), reasons)
        values = [each.values[name] for each in scores if name in each.values]
        weights = average_weights(self._plan, scored)
        averaged = definition.definition.rstrip(".") + (
            "; the mean over all frames of all clips." if weights else "; the mean over clips."
        )
        mean = math.fsum(values) / len(values)
        self._add(name, mean_interval(values, weights), definition._replace(definition=averaged), mean)

    def _add_global_psnr(self) -> None:
        metric = GlobalPsnr()
        if not self._results:
            self.missing[metric.name] = _NO_CLIP
            return
        scores = [result.scores for result in self._results]
        numbers = [each.numbers for each in scores]
        mean = mean_interval([each.square_error / each.numbers for each in scores], numbers)
        exact = decibels(sum(each.square_error for each in scores) / sum(numbers))
        # Decibels fall as the error rises, so the ends change places.
        low, high = (None if end is None else decibels(end) for end in (mean.high, mean.low))
        interval = Interval(exact, low, high, mean.clips)
        self._add(metric.name, interval, Definition(metric.definition, metric.unit, "higher"))

    def _add_ratio(
        self, name: str, sums: list[tuple[float, float]], definition: Definition, lack: str
    ) -> None:
        """Of two sums over clips: each clip counts with its denominator."""
        if sums:
            interval = mean_interval([above / below for above, below in sums], [below for _, below in sums])
            self._add(name, interval, definition)
        else:
            self.missing[name] = lack

    def _add_flicker(self) -> None:
        """The error's motion. Each clip counts with its frames, so intervals come from sums over clips."""
        found = [result.scores.flicker for result in self._results]
        inside = [(f.inside, float(f.others)) for f in found if f.others]
        self._add_ratio("temporal_flicker", inside, _FLICKER, "no clip has two frames.")
        if self._method.kind == "codec":  # its streams are not what seams are about
            return
        seams = [(f.at_borders, float(f.borders)) for f in found if f.borders]
        self._add_ratio("seam_energy", seams, _SEAM_ENERGY, _NO_SEAM)
        together = SeamFlicker()
        for flicker in found:
            together.merge(flicker)
        if together.ratio is None:
            self.missing["seam_flicker"] = "the error does not move." if seams else _NO_SEAM
        else:
            interval = Interval(together.ratio, *_ratio_ends(found), len(found))
            self._add("seam_flicker", interval, _SEAM_FLICKER)

    def _add_set_metric(self, metric: SetMetric) -> None:
        """Features are read again clip by clip, in the order of the items: memory stays flat."""
        prefix = f"{self._plan.methods.index(self._method)}.{metric.name}."
        clips = 0

        def features() -> Iterator[Features]:
            nonlocal clips
            for key in self._found.keys:
                stored = self._journal.arrays(key, prefix)
                if stored:
                    clips += 1
                    yield {**self._journal.arrays(key, f"{metric.name}."), **stored}

        reasons = {
            result.scores.not_measured[metric.name]
            for result in self._results
            if metric.name in result.scores.not_measured
        }
        try:
            value = metric.result(features())
        except NotMeasured as error:
            self.missing[metric.name] = min(reasons) if reasons and not clips else str(error)
            return
        words = metric.definition
        if getattr(metric, "extractor", None) is not None and self._plan.protocol.frames is None:
            window = self._plan.protocol.window
            words += f" Networks of video are given {window} consecutive frames at once, one vector each."
        definition = Definition(words, metric.unit, _better(metric.higher_is_better))
        self._add(metric.name, Interval(value, None, None, clips), definition)
        self.warnings += metric.warnings(clips)
        if clips < len(self._clips):
            self._warn_of_some(metric.name, clips, reasons)

    def _warn_of_some(self, name: str, clips: int, reasons: set[str]) -> None:
        self.warnings.append(f"{name} is that of {clips} of {len(self._clips)} clips: {min(reasons)}")

    def _add_limits(self) -> None:
        codec = self._method.kind == "codec"
        for limit, words in (_CODEC_LIMITS if codec else _MODEL_LIMITS).items():
            count = sum(limit in result.cost.limits for result in self._results)
            if count:
                name = self._method.name
                self.warnings.append(f"{name} {words}, on {count} of {len(self._clips)} clips.")


def _better(higher: bool) -> Better:
    return "higher" if higher else "lower"


def _ratio_ends(found: list[SeamFlicker]) -> tuple[float | None, float | None]:
    """Bootstrap over clips of the ratio of two means, each of which is a ratio of sums."""
    if len(found) < 2:
        return None, None
    sums = np.array([(f.at_borders, f.borders, f.inside, f.others) for f in found], np.float64)
    drawn = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    at, borders, inside, others = sums[drawn].sum(axis=1).T
    whole = (borders > 0) & (inside > 0)
    ratios = (at[whole] / borders[whole]) / (inside[whole] / others[whole])
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _codebooks(plan: Plan, found: Measured, journal: Journal, model: ModelMethod) -> dict[str, CodebookFacts]:
    codes = CodeCounts(model.spec.codebooks)
    for key in found.keys:
        for part, counts in journal.arrays(key, f"{plan.models.index(model)}.codes.").items():
            codes.counts[part] += counts
    known = model.words()
    return {part: _codebook(counts, known.get(part)) for part, counts in codes.counts.items()}


def _codebook(counts: np.ndarray, words: list[str] | None) -> CodebookFacts:
    use = list_use(counts)
    order = np.argsort(-counts, kind="stable")[: min(_TOP_WORDS, use.used)]
    return CodebookFacts(
        **vars(use),
        entropy_bits=math.log2(use.perplexity) if use.used else 0.0,
        occurrences=int(counts.sum()),
        histogram=tuple(_histogram(counts)),
        top=tuple(TopCode(int(i), words[i] if words else None, int(counts[i])) for i in order),
    )


def _histogram(counts: np.ndarray) -> Iterator[HistogramBin]:
    """How many codes occur never, once, 2 to 3 times, 4 to 7 times, and so on."""
    low = high = 0
    most = int(counts.max(initial=0))
    while True:
        yield HistogramBin(low, high, int(((counts >= low) & (counts <= high)).sum()))
        if high >= most:
            return
        low, high = high + 1, 2 * high + 1
