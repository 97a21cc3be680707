"""What is known of each variant: the JSON that a run goes on from, and the table made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import describe
from rich.console import Console
from rich.table import Table

from ablation.held_out import HeldOut
from ablation.training import Plan
from ablation.variants import VARIANTS, base_of
from sweettok_cli.files import atomic_output
from sweettok_cli.metrics.bootstrap import difference_interval, mean_interval

Row = Mapping[str, Any]


class Record:
    """The variants that are done, a row each, in the order of the table."""

    def __init__(self, path: Path, plan: Plan, held_out: HeldOut, command: str) -> None:
        self.path, self.plan, self.names = path, plan, list(held_out.clips)
        frames, side = next(iter(held_out.clips.values())).shape[:2]
        self.about = {
            "command": command,
            "budget": asdict(plan.budget),
            "lines": plan.changes,
            "words": plan.prior_name,
            "trained_on": held_out.trained,
            "held_out": {"clips": self.names, "frames": frames, "side": side},
        }
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.rows: dict[str, Row] = known.get("rows", {})

    def has(self, name: str) -> bool:
        """Whether a variant was trained and measured as it would be now."""
        row = self.rows.get(name)
        return row is not None and row["key"] == self._key(name) and self._fits(row)

    def add(self, name: str, figures: Row) -> None:
        """Keep a variant, and with it the differences to its base."""
        variant = VARIANTS[name]
        about = {"question": variant.question, "base": base_of(name), "lines": list(variant.lines)}
        psnr = mean_interval(list(figures["psnr_of_clips"].values()))
        measured = {"key": self._key(name), "psnr": asdict(psnr), "machine": describe()}
        rows = self.rows | {name: {**about, **measured, **figures}}
        rows = {known: rows[known] for known in VARIANTS if known in rows}
        self.rows = {known: {**row, "gain": self._gain(row, rows)} for known, row in rows.items()}
        with atomic_output(self.path, force=True) as part:
            part.write_text(json.dumps(self.about | {"rows": self.rows}, indent=1) + "\n", encoding="utf-8")

    def _key(self, name: str) -> str:
        held = self.about["held_out"]
        return f"{self.plan.key(name)}-{held['frames']}x{held['side']}"

    def _fits(self, row: Row) -> bool:
        """Whether it was measured on the clips that are held out now."""
        return list(row["psnr_of_clips"]) == self.names

    def _gain(self, row: Row, rows: Mapping[str, Row]) -> dict[str, Any] | None:
        base = rows.get(row["base"])
        if base is None or base is row or not (self._fits(row) and self._fits(base)):
            return None
        return asdict(difference_interval(*(list(r["psnr_of_clips"].values()) for r in (row, base))))

    def show(self) -> None:
        """Print the table."""
        columns = ("variant", "psnr", "gain", "bits", "use %", "kept %", "steps", "s", "M")
        table = Table(*columns, box=None, pad_edge=False)
        for name, row in self.rows.items():
            table.add_row(
                name,
                _interval(row["psnr"]),
                _interval(row["gain"], "+"),
                f"{1000 * row['bits_per_pixel']:.1f}",
                " ".join(f"{100 * part['use']:.0f}" for part in row["use"].values()),
                " ".join(f"{100 * share:.0f}" for share in row["kept"].values()),
                "+".join(map(str, row["steps"])),
                "+".join(f"{seconds:.2f}" for seconds in row["seconds"]),
                f"{row['parameters'] / 1e6:.1f}",
            )
        Console(width=110).print(table)


def _interval(found: Row | None, sign: str = "") -> str:
    if found is None:
        return ""
    value = f"{found['value']:{sign}.2f}"
    return value if found["low"] is None else f"{value} [{found['low']:{sign}.2f}, {found['high']:{sign}.2f}]"
