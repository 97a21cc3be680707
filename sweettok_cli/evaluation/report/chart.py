"""A chart with two axes: its margins, its grid and what is written along it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweettok_cli.evaluation.report.axis import Axis, tick_text
from sweettok_cli.evaluation.report.markup import escape


@dataclass(frozen=True)
class Chart:
    """Sizes in the chart's own units, which the page scales.

    Attributes:
        width: of all.
        height: of all.
        left: where the grid begins.
        right: where it ends.
        top: where it begins.
        bottom: where it ends.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def grid(
        self, across: Axis, up: Axis, below: str, beside: str, columns: int = 6, rows: int = 6
    ) -> list[str]:
        """Lines at round values with their numbers, and what the axes are; SVG elements.

        Args:
            across: from ``left`` to ``right``.
            up: from ``bottom`` to ``top``.
            below: written along the first.
            beside: written along the second, turned.
            columns: at most so many lines.
            rows: at most so many lines.
        """
        parts = []
        for value in up.ticks(rows):
            place = up(value)
            parts.append(f'<path class="grid" d="M{self.left} {place}H{self.right}"/>')
            parts.append(
                f'<text class="tick end" x="{self.left - 8}" y="{place + 4}">{tick_text(value)}</text>'
            )
        for value in across.ticks(columns):
            place = across(value)
            parts.append(f'<path class="grid" d="M{place} {self.top}V{self.bottom}"/>')
            parts.append(
                f'<text class="tick middle" x="{place}" y="{self.bottom + 20}">{tick_text(value)}</text>'
            )
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        parts.append(f'<text class="axis middle" x="{x}" y="{self.height - 8}">{escape(below)}</text>')
        turned = f"translate(14 {y}) rotate(-90)"
        parts.append(f'<text class="axis middle" transform="{turned}">{escape(beside)}</text>')
        return parts

    def drawn(self, parts: Iterable[str], title: str) -> str:
        """HTML of the chart from SVG elements; ``title`` is what a screen reader says."""
        return (
            f'<div class="chart"><svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(title)}">' + "".join(parts) + "</svg></div>"
        )
