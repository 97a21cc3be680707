"""A record as files for other programs and papers: CSV by clip, Markdown by method."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from sweettok_cli.evaluation.record import Figure, MethodFacts, Record
from sweettok_cli.evaluation.spelling import printable
from sweettok_cli.files import atomic_output

TITLES = {
    "psnr": "PSNR (dB)",
    "psnr_clip": "PSNR of clips (dB)",
    "psnr_vidtok": "PSNR, VidTok (dB)",
    "psnr_global": "PSNR, global (dB)",
    "ssim": "SSIM",
    "ssim_vidtok": "SSIM, VidTok",
    "ms_ssim": "MS-SSIM",
    "lpips_vgg": "LPIPS (VGG)",
    "lpips_alex": "LPIPS (Alex)",
    "rfvd": "rFVD (TorchScript I3D)",
    "rfvd_400": "rFVD (ported I3D)",
    "rfid": "rFID",
    "bits_per_pixel": "bits per pixel",
    "kbit_per_second": "kbit/s",
    "temporal_flicker": "temporal flicker",
    "seam_energy": "seam energy",
    "seam_flicker": "seam flicker",
}
"""How the figures are headed in tables."""

COSTS = ("bits_per_pixel", "kbit_per_second")
STEADINESS = ("temporal_flicker", "seam_energy", "seam_flicker")
"""Figures that are no measures of a clip's quality."""

_DIGITS = {"dB": 2, "kbit/s": 1, "8-bit steps": 2, "bits": 4}
_FOUR = ("ssim", "ssim_vidtok", "ms_ssim", "lpips_vgg", "lpips_alex")


def in_short(methods: Sequence[MethodFacts]) -> list[str]:
    """Their names, a model at several budgets once: ``sweettok-small (640 tokens, fixed)``."""
    held: dict[str, list[MethodFacts]] = {}
    for each in methods:
        held.setdefault(each.series, []).append(each)
    return [
        same[0].name if len(same) == 1 else f"{series} ({', '.join(each.budget or '' for each in same)})"
        for series, same in held.items()
    ]


def short_title(name: str) -> str:
    """Without the unit: ``PSNR``."""
    return TITLES.get(name, name).removesuffix(" (dB)")


def digits_of(name: str, unit: str = "") -> int:
    """Digits after the point that a figure is printed with."""
    return 4 if name in _FOUR else _DIGITS.get(unit, 2)


def figure(value: float | None, digits: int) -> str:
    """``-`` where nothing was measured."""
    return "-" if value is None else f"{value:.{digits}f}"


def with_interval(name: str, entry: Figure) -> str:
    """``28.38 [27.10, 29.55]``, or the value alone where there is no interval."""
    digits = digits_of(name, entry.unit)
    value = figure(entry.value, digits)
    if entry.low is None:
        return value
    return f"{value} [{entry.low:.{digits}f}, {entry.high:.{digits}f}]"


def write_csv(path: Path, record: Record, force: bool = False) -> None:
    """One row for each clip and method; empty where nothing was measured. ``--json`` has names unchanged.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written.
    """
    budgets = {method.name: method.budget or "" for method in record.methods}
    rows = [
        {
            "contender": _cell(method),
            "budget": budgets[method],
            "name": _cell(clip.name),
            "label": _cell(clip.label or ""),
            **{key: getattr(clip, key) for key in ("width", "height", "frames")},
            **{key: value for key, value in scores.to_json().items() if key != "settings"},
        }
        for clip in record.clips
        for method, scores in clip.scores.items()
    ]
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["contender", "name"]
    with atomic_output(path, force) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)


def _cell(name: str) -> str:
    """A name that every program reads as text: what is no text is spelt out, and no formula is begun."""
    spelt = printable(name)
    return f"'{spelt}" if spelt.startswith(("=", "+", "-", "@")) else spelt


def write_markdown(path: Path, record: Record, force: bool = False) -> None:
    """The summary as a table for a paper, with the protocol, the definitions and what is missing below.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written.
    """
    methods, data, protocol = record.methods, record.data, record.protocol
    first = {  # of each figure, from the first method that has it
        name: next(each.summary[name] for each in methods if name in each.summary)
        for name in TITLES
        if any(name in each.summary for each in methods)
    }
    heads = [f"{TITLES[name]} {'↑' if first[name].better == 'higher' else '↓'}" for name in first]
    lines = [_line(["", *heads]), _line(["---", *["---:"] * len(heads)])]
    for each in methods:
        cells = [with_interval(name, each.summary[name]) if name in each.summary else "-" for name in first]
        lines.append(_line([_plain(each.name), *cells]))
    split = f" ({data.split})" if data.split else ""
    lines += [
        "",
        f"{_plain(data.name)}{split}: {data.clips} clips, {data.frames} frames; protocol {protocol.name}. In "
        f"brackets: {protocol.interval}. Measured with sweettok {record.sweettok}: {_code(record.command)}.",
        "",
        *(f"- {TITLES[name]}: {entry.definition}" for name, entry in first.items()),
    ]
    for each in methods:
        lines += [
            f"- {TITLES.get(n, n)} of {_plain(each.name)}: not measured: {_plain(why)}"
            for n, why in each.not_measured.items()
        ]
        lines += [f"- {_plain(warning)}" for warning in each.warnings]
    lines += [f"- Differs from the paper: {_plain(each)}" for each in protocol.differs_from_paper]
    lines += [f"- {_plain(note)}" for note in data.notes]
    with atomic_output(path, force) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: no cell, emphasis, link, code or HTML begins in it."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", printable(text))


def _code(text: str) -> str:
    """Text as code, between more backticks in a row than there are in it."""
    spelt = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", spelt)), default=0))
    return f"{fence} {spelt} {fence}" if "`" in spelt else f"`{spelt}`"
