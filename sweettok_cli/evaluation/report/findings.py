"""What of a record the page speaks of: the model, the figure it leads with, the clips in order."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sweettok_cli.evaluation.tables import COSTS, STEADINESS, TITLES, digits_of, short_title

_LEADING = ("psnr", "psnr_clip", "psnr_vidtok", "ssim", "ssim_vidtok", "ms_ssim", "lpips_vgg", "lpips_alex")


class Findings:
    """A record (``evaluation/record.py``), asked questions.

    Attributes:
        record: as made.
        first: the contender that the page is about: the first model.
        names: of all contenders, in order; their place is their colour.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        contenders = record["contenders"]
        self.first: dict[str, Any] = next((c for c in contenders if c["kind"] == "model"), contenders[0])
        self.names: list[str] = [contender["name"] for contender in contenders]

    @property
    def contenders(self) -> list[dict[str, Any]]:
        """All of them."""
        return self.record["contenders"]

    @property
    def codecs(self) -> list[dict[str, Any]]:
        """Those that are codecs."""
        return [each for each in self.contenders if each["kind"] == "codec"]

    @cached_property
    def metrics(self) -> list[str]:
        """Everything in a summary, in the order of tables."""
        found = list(dict.fromkeys(name for each in self.contenders for name in each["summary"]))
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

    @property
    def places(self) -> range:
        """Numbers of the clips in the record."""
        return range(len(self.record["clips"]))

    @cached_property
    def ranked(self) -> list[int]:
        """Clips by the leading figure of the first model, the worst first."""
        if self.lead is None:
            return []
        scored = [place for place in self.places if self.score(place, self.lead) is not None]
        return sorted(scored, key=lambda place: self.score(place, self.lead), reverse=not self.higher)  # type: ignore[arg-type,return-value]

    @property
    def higher(self) -> bool:
        """Whether more of the leading figure is better."""
        return self.lead is None or self.better(self.lead) == "higher"

    def score(self, place: int, metric: str | None, contender: str | None = None) -> float | None:
        """Of one clip; of the first model unless another contender is named."""
        scores = self.record["clips"][place]["scores"].get(contender or self.first["name"], {})
        return scores.get(metric)

    def entry(self, contender: dict[str, Any], metric: str | None) -> dict[str, Any] | None:
        """Value, interval, definition, unit."""
        return contender["summary"].get(metric)

    def facts(self, metric: str) -> dict[str, Any]:
        """Definition, unit and better direction, from any contender that has the figure."""
        found = (each["summary"][metric] for each in self.contenders if metric in each["summary"])
        return next(found, {"definition": "", "unit": "", "better": "higher"})

    def better(self, metric: str) -> str:
        """``higher`` or ``lower``."""
        return self.facts(metric)["better"]

    def digits(self, metric: str) -> int:
        """Digits after the point."""
        return digits_of(metric, self.facts(metric)["unit"])

    def title(self, metric: str) -> str:
        """As tables head it, with the unit."""
        return TITLES.get(metric, metric)

    def short(self, metric: str) -> str:
        """Without the unit: ``PSNR``."""
        return short_title(metric)

    def with_unit(self, metric: str, text: str) -> str:
        """``28.38 dB``."""
        unit = self.facts(metric)["unit"]
        return f"{text}\u00a0{unit}" if unit and unit != "bits" else text

    def compared(self, other: str, metric: str) -> dict[str, Any] | None:
        """The paired difference of the first model and another contender, first minus other."""
        mine = self.first["name"]
        for each in self.record["comparisons"]:
            if each["metric"] != metric:
                continue
            if (each["a"], each["b"]) == (mine, other):
                return each
            if (each["a"], each["b"]) == (other, mine):
                turned = {"a": mine, "b": other, "difference": -each["difference"]}
                ends = {"low": each["high"], "high": each["low"]}
                return each | turned | {k: None if v is None else -v for k, v in ends.items()}
        return None
