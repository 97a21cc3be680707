"""What of a record the page speaks of: the model, its leading figure, the clips in order, how good it is."""

from __future__ import annotations

from functools import cached_property

from sweettok_cli.evaluation.record import Figure, MethodFacts, Record
from sweettok_cli.evaluation.report.text import FigureText
from sweettok_cli.evaluation.tables import COSTS, STEADINESS, TITLES, digits_of

_LEADING = ("psnr", "psnr_clip", "psnr_vidtok", "ssim", "ssim_vidtok", "ms_ssim", "lpips_vgg", "lpips_alex")
_SEEN = (
    (40, "hard to tell from the source"),
    (35, "small losses"),
    (30, "fine detail is lost"),
    (25, "clearly blurred"),
    (float("-inf"), "heavily damaged"),
)
_SAME_BITS = 0.02
_COLOURS = 6  # that the page has
_MOST_MOVING = 4


class Findings:
    """A record, asked questions."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.methods = record.methods  # models, then codecs
        self.names = [each.name for each in self.methods]
        self.first = self.methods[0]  # the model that the page is about
        self.places = range(len(record.clips))  # numbers of the clips in the record

    @property
    def models(self) -> list[MethodFacts]:
        """The methods that are models."""
        return [each for each in self.methods if each.kind == "model"]

    @cached_property
    def series(self) -> dict[str, list[MethodFacts]]:
        """Models, each with all that it is at its budgets, then codecs; their place is their colour."""
        found: dict[str, list[MethodFacts]] = {}
        for each in self.methods:
            found.setdefault(each.series, []).append(each)
        return found

    def colour(self, name: str) -> str:
        """The class of a method's colour, or of a series'."""
        places = {each.name: list(self.series).index(each.series) for each in self.methods}
        place = list(self.series).index(name) if name in self.series else places[name]
        return f"s{place % _COLOURS}"

    @cached_property
    def moving(self) -> list[str]:
        """Methods whose frames are shown: of each series the first, then the second, and so on."""
        places = {each.name: place for held in self.series.values() for place, each in enumerate(held)}
        chosen = sorted(self.names, key=places.__getitem__)[:_MOST_MOVING]
        return [name for name in self.names if name in chosen]

    @cached_property
    def metrics(self) -> list[str]:
        """Everything in a summary, in the order of tables."""
        found = list(dict.fromkeys(name for each in self.methods for name in each.summary))
        order = list(TITLES)
        return sorted(found, key=lambda name: order.index(name) if name in order else len(order))

    @cached_property
    def clip_metrics(self) -> list[str]:
        """Measures of quality that clips have of their own, the leading one first."""
        known = [name for name in self.metrics if name not in (*COSTS, *STEADINESS)]
        scored = [name for name in known if any(self.score(place, name) is not None for place in self.places)]
        return sorted(scored, key=lambda name: _LEADING.index(name) if name in _LEADING else 99)

    @property
    def lead(self) -> str | None:
        """The figure that orders the clips; None where no clip has any."""
        return self.clip_metrics[0] if self.clip_metrics else None

    @cached_property
    def ranked(self) -> list[int]:
        """Clips by the leading figure of the first model, the worst first."""
        if self.lead is None:
            return []
        scores = {place: self.score(place, self.lead) for place in self.places}
        known = {place: score for place, score in scores.items() if score is not None}
        return sorted(known, key=known.__getitem__, reverse=not self.higher)

    @property
    def higher(self) -> bool:
        """Whether more of the leading figure is better."""
        return self.lead is None or self.facts(self.lead).better == "higher"

    def score(self, place: int, metric: str, method: str | None = None) -> float | None:
        """Of one clip; of the first model unless another method is named."""
        scores = self.record.clips[place].scores.get(method or self.first.name)
        return None if scores is None else scores.values.get(metric, getattr(scores, metric, None))

    def facts(self, metric: str) -> Figure:
        """Definition, unit and better direction, from any method that has the figure."""
        return next(each.summary[metric] for each in self.methods if metric in each.summary)

    def best(self, metric: str) -> float | None:
        """Of the means of several methods; None where there are not, or where less and more mean nothing."""
        known = [each.summary[metric].value for each in self.methods if metric in each.summary]
        if len(known) < 2 or metric in COSTS:
            return None
        return max(known) if self.facts(metric).better == "higher" else min(known)

    def title(self, metric: str) -> str:
        """As tables head it, with the unit."""
        return TITLES.get(metric, metric)

    def digits(self, metric: str) -> int:
        """Digits after the point."""
        return digits_of(metric, self.facts(metric).unit)

    def figure(
        self, metric: str, value: float | None, low: float | None = None, high: float | None = None
    ) -> FigureText:
        """A value of a metric as it is written."""
        unit = self.facts(metric).unit
        return FigureText(value, self.digits(metric), "" if unit == "bits" else unit, low, high)

    def mean(self, metric: str, method: MethodFacts) -> FigureText:
        """A figure of a method's summary, which has it."""
        entry = method.summary[metric]
        return self.figure(metric, entry.value, entry.low, entry.high)

    @property
    def tiles(self) -> list[str]:
        """Metrics that the page begins with: the leading one, one of likeness, the bits."""
        known = [name for name in (*self.clip_metrics, "bits_per_pixel") if name in self.first.summary]
        likeness = [name for name in known if name.startswith(("ssim", "ms_ssim", "lpips"))]
        return [name for name in known if name in (self.lead, *likeness[:1], "bits_per_pixel")]

    @property
    def seen(self) -> str:
        """What the mean of the leading figure looks like, as a rule of thumb; empty where there is none."""
        if self.lead is None or not self.lead.startswith("psnr"):
            return ""
        value = self.first.summary[self.lead].value
        return next(words for least, words in _SEEN if value >= least)

    def against(self, *kinds: str) -> list[tuple[MethodFacts, FigureText]]:
        """Others of these kinds, and the first model's leading figure minus theirs, in pairs."""
        others = {each.name: each for each in self.methods if each.kind in kinds}
        return [
            (others[each.b], self.figure(each.metric, each.difference, each.low, each.high))
            for each in self.record.comparisons
            if (each.a, each.metric) == (self.first.name, self.lead) and each.b in others
        ]

    def word(self, difference: FigureText) -> str:
        """``better`` or ``worse``, of a difference of the leading figure."""
        value = difference.value or 0
        return "better" if (value > 0 if self.higher else value < 0) else "worse"

    def other_bits(self, other: MethodFacts) -> str:
        """``50% more`` where another model, or a codec that cannot do else, spends other bits; else empty."""
        theirs, mine = (each.summary.get("bits_per_pixel") for each in (other, self.first))
        if theirs is None or mine is None or not mine.value:
            return ""
        more = theirs.value / mine.value - 1
        return "" if abs(more) <= _SAME_BITS else f"{abs(more):.0%} {'more' if more > 0 else 'fewer'}"

    @property
    def warnings(self) -> list[str]:
        """Every warning once, with the methods that it is about."""
        found: dict[str, list[str]] = {}
        for each in self.methods:
            for warning in each.warnings:
                found.setdefault(warning, []).append(each.name)
        # Many say already whom they are about.
        return [
            text
            if any(who in text for who in whom) or len(whom) == len(self.names)
            else f"{', '.join(whom)}: {text}"
            for text, whom in found.items()
        ]

    @property
    def not_measured(self) -> list[tuple[str, list[str], str]]:
        """Figures that could not be had, the methods that lack them (none where all do), and the reason."""
        found: dict[tuple[str, str], list[str]] = {}
        for each in self.methods:
            for metric, reason in each.not_measured.items():
                found.setdefault((self.title(metric), reason), []).append(each.name)
        return [
            (title, [] if len(whom) == len(self.names) else whom, reason)
            for (title, reason), whom in found.items()
        ]
