"""The top of the page: in plain words how good the model is, and where it fails."""

from __future__ import annotations

from typing import Any

from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import escape, name, number, plural, printable, signed, span

_SEEN = (
    (40, "hard to tell from the source"),
    (35, "small losses"),
    (30, "fine detail is lost"),
    (25, "clearly blurred"),
    (float("-inf"), "heavily damaged"),
)
_SAME_BITS = 0.02


def title(findings: Findings) -> str:
    """What stands in the window's bar; plain text."""
    return printable(f"{findings.first['name']} on {findings.record['data']['name']}")


def heading(findings: Findings) -> str:
    """One line, HTML."""
    data = findings.record["data"]
    split = f" ({escape(data['split'])})" if data.get("split") else ""
    return f"{name(findings.first['name'])} on {name(data['name'])}{split}"


def verdict(findings: Findings) -> str:
    """A few sentences, HTML."""
    metric, first = findings.lead, findings.first
    if metric is None or metric not in first["summary"]:
        failed = findings.record["failed"]
        why = f": {plural(len(failed), 'file')} failed" if failed else ""
        return f'<p class="verdict">Nothing could be measured{why}.</p>'
    entry = first["summary"][metric]
    digits = findings.digits(metric)
    value = findings.with_unit(metric, number(entry["value"], digits))
    interval = span(entry["low"], entry["high"], digits)
    sentences = [
        f"<b>{escape(findings.short(metric))} {value}</b>"
        + (f" (95 % interval {interval})" if interval else "")
        + f" over {plural(entry['clips'], 'clip')}{_seen(metric, entry['value'])}.",
        _spent(findings),
        _against(findings, metric),
    ]
    worst, best = findings.ranked[0], findings.ranked[-1]
    if worst != best:
        sentences.append(
            f"It fails most on {_clip(findings, worst, metric)} and least on {_clip(findings, best, metric)}."
        )
    return f'<p class="verdict">{" ".join(filter(None, sentences))}</p>'


def tiles(findings: Findings) -> str:
    """The same as large figures."""
    metric, first = findings.lead, findings.first
    if metric is None:
        return ""
    found = []
    shown = [name for name in findings.clip_metrics if name in first["summary"]]
    second = next((name for name in shown if name.startswith(("ssim", "ms_ssim", "lpips"))), None)
    for each in dict.fromkeys([metric, *([second] if second else []), "bits_per_pixel"]):
        if each not in first["summary"]:
            continue
        entry = first["summary"][each]
        digits = findings.digits(each)
        value = findings.with_unit(each, number(entry["value"], digits))
        found.append(_tile(findings.short(each), value, span(entry["low"], entry["high"], digits)))
    for codec in findings.codecs:
        compared = findings.compared(codec["name"], metric)
        if compared is not None:
            found.append(_compared_tile(findings, codec["name"], metric, compared))
    if findings.ranked:
        worst = findings.ranked[0]
        value = number(findings.score(worst, metric), findings.digits(metric))
        where = f'<a href="#clip-{worst}">{name(findings.record["clips"][worst]["name"])}</a>'
        found.append(_tile("worst clip", findings.with_unit(metric, value), where))
    return '<div class="tiles">' + "".join(found) + "</div>"


def _tile(label: str, value: str, below: str, kind: str = "") -> str:
    return (
        f'<div class="tile {kind}"><div class="tile-label">{escape(label)}</div>'
        f'<div class="tile-value">{value}</div>'
        f'<div class="tile-below">{below}</div></div>'
    )


def _compared_tile(findings: Findings, codec: str, metric: str, compared: dict[str, Any]) -> str:
    digits = findings.digits(metric)
    difference = compared["difference"]
    value = findings.with_unit(metric, signed(difference, digits))
    good = (difference > 0) == findings.higher and difference != 0
    word = "better" if good else "worse"
    kind, word = ("", "no clear difference") if _unsure(compared) else ("good" if good else "bad", word)
    interval = span(compared["low"], compared["high"], digits)
    below = f"{word}{f', {interval}' if interval else ''}"
    return _tile(f"against {printable(codec)}", value, below, kind)


def _seen(metric: str, value: float) -> str:
    if not metric.startswith("psnr"):
        return ""
    words = next(words for least, words in _SEEN if value >= least)
    return f" \u2013 as a rule of thumb, {words}"


def _spent(findings: Findings) -> str:
    summary = findings.first["summary"]
    parts = []
    if "bits_per_pixel" in summary:
        parts.append(f"{number(summary['bits_per_pixel']['value'], 4)} bits per pixel")
    if "kbit_per_second" in summary:
        parts.append(f"{number(summary['kbit_per_second']['value'], 0)} kbit/s")
    return f"It spends {', '.join(parts)}." if parts else ""


def _against(findings: Findings, metric: str) -> str:
    """How much better or worse than each codec, and at whose bits."""
    said = []
    for codec in findings.codecs:
        compared = findings.compared(codec["name"], metric)
        if compared is None:
            continue
        digits, difference = findings.digits(metric), compared["difference"]
        amount = findings.with_unit(metric, number(abs(difference), digits))
        word = "better" if (difference > 0) == findings.higher else "worse"
        interval = span(compared["low"], compared["high"], digits)
        chance = ", which may be chance" if _unsure(compared) else ""
        said.append(
            f"<b>{amount} {word}</b> than {name(codec['name'])}{_other_bits(findings, codec)}"
            + (f" ({interval}{chance})" if interval else "")
        )
    return f"At the same bits it is {', and '.join(said)}." if said else ""


def _unsure(compared: dict[str, Any]) -> bool:
    return compared["low"] is not None and compared["low"] <= 0 <= compared["high"]


def _other_bits(findings: Findings, codec: dict[str, Any]) -> str:
    """A codec cannot always spend as many bits, or as few."""
    theirs, mine = (each["summary"].get("bits_per_pixel") for each in (codec, findings.first))
    if not theirs or not mine or not mine["value"]:
        return ""
    more = theirs["value"] / mine["value"] - 1
    return (
        "" if abs(more) <= _SAME_BITS else f", which spends {abs(more):.0%} {'more' if more > 0 else 'fewer'}"
    )


def _clip(findings: Findings, place: int, metric: str) -> str:
    value = number(findings.score(place, metric), findings.digits(metric))
    shown = name(findings.record["clips"][place]["name"])
    return f'<a href="#clip-{place}">{shown}</a> ({findings.with_unit(metric, value)})'
