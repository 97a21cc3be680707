"""What ``sweettok eval`` says to people."""

from __future__ import annotations

from typing import Any

from sweettok_cli.cli.output import as_text, count

_SHOWN = 40
"""Clips that are listed; of more only the worst are."""
_WORST = 10


def as_words(record: dict[str, Any]) -> str:
    """Tables and sentences: clips, contenders, cost, codebooks, what is missing."""
    parts: list[Any] = []
    if record["clips"]:
        parts.append(_clips(record))
        if len(record["contenders"]) > 1:
            parts.append(_contenders(record))
    return as_text(*parts, *_lines(record))


def _table(*headings: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        if place:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold")
    return table


def _clips(record: dict[str, Any]) -> Any:
    """The clips as the first contender gives them back."""
    from sweettok_cli.evaluation.tables import COSTS, STEADINESS, TITLES, digits_of, figure

    first = record["contenders"][0]
    name = first["name"]
    metrics = [metric for metric in TITLES if metric in first["summary"]]
    metrics = [m for m in metrics if any(m in clip["scores"][name] for clip in record["clips"])]
    costs = (*COSTS, *STEADINESS)
    shown = [*[m for m in metrics if m not in costs][:4], "bits_per_pixel", "seam_flicker"]
    clips = record["clips"]
    if len(clips) > _SHOWN and shown[0] not in costs:
        higher = first["summary"][shown[0]]["better"] == "higher"
        scored = [clip for clip in clips if shown[0] in clip["scores"][name]]
        clips = sorted(scored, key=lambda clip: clip["scores"][name][shown[0]], reverse=not higher)[:_WORST]
    heading = (
        "file" if len(clips) == len(record["clips"]) else f"worst {len(clips)} of {len(record['clips'])}"
    )
    headings = {"psnr": "PSNR dB", "bits_per_pixel": "bits/pixel", "seam_flicker": "seams"}
    table = _table(heading, "size", "frames", *(headings.get(m, TITLES[m]) for m in shown), "seconds")
    for clip in clips:
        scores = clip["scores"][name]
        units = {m: first["summary"].get(m, {}).get("unit", "") for m in shown}
        table.add_row(
            clip["name"],
            f"{clip['width']}x{clip['height']}",
            str(clip["frames"]),
            *(figure(scores.get(m), digits_of(m, units[m])) for m in shown),
            f"{scores['seconds']:.1f}",
        )
    return table


def _contenders(record: dict[str, Any]) -> Any:
    """One row a figure, one column a contender: intervals are wide."""
    from sweettok_cli.evaluation.tables import TITLES, with_interval

    summaries = [each["summary"] for each in record["contenders"]]
    table = _table("", *(each["name"] for each in record["contenders"]))
    for name in (name for name in TITLES if any(name in summary for summary in summaries)):
        cells = (with_interval(name, s[name]) if name in s else "-" for s in summaries)
        table.add_row(TITLES[name], *cells)
    return table


def _lines(record: dict[str, Any]) -> list[str]:
    from sweettok_cli.evaluation.tables import (
        COSTS,
        STEADINESS,
        TITLES,
        digits_of,
        figure,
        short_title,
        with_interval,
    )

    first, data, protocol = record["contenders"][0], record["data"], record["protocol"]
    failed = f" ({len(record['failed'])} failed)" if record["failed"] else ""
    seconds = sum(first["seconds"].values())
    lines = [
        f"{first['name']} on {data['name']}, {count(data['clips'], 'file')}{failed}, "
        f"{count(data['frames'], 'frame')}, {seconds:.0f} s in the model; protocol {protocol['name']}, mean "
        f"over {protocol['average']}, 95 % intervals over clips"
    ]
    alone = first["summary"].items() if len(record["contenders"]) == 1 else ()
    for name, entry in alone:
        if name in (*COSTS, *STEADINESS):
            continue
        mean = entry.get("mean_of_clips")
        also = ""
        if mean is not None and protocol["average"] == "frames" and data["clips"] > 1:
            also = f", {figure(mean, digits_of(name, entry['unit']))} mean of files"
        unit = f" {entry['unit']}" if entry["unit"] else ""
        lines.append(f"{short_title(name):<5} {with_interval(name, entry)}{unit}{also}")
    lines.append(_cost(first))
    if "seam_flicker" in first["summary"]:
        lines.append(
            f"seams {with_interval('seam_flicker', first['summary']['seam_flicker'])} times the change that "
            "the error makes inside clips (1: borders between clips do not show)"
        )
    lines += [
        f"words {part}: {100 * use['use']:.0f} % of {use['size']} used, perplexity {use['perplexity']:.0f}, "
        f"{use['entropy_bits']:.1f} bits a code"
        for part, use in first["codebooks"].items()
    ]
    for each in record["comparisons"]:
        digits = digits_of(each["metric"], _unit(record, each["metric"]))
        lines.append(
            f"{each['a']} - {each['b']}: {TITLES[each['metric']]} {each['difference']:+.{digits}f}"
            f"{_range(each, digits)}"
        )
    for contender in record["contenders"]:
        lines += [
            f"{TITLES.get(name, name)} of {contender['name']} was not measured: {reason}"
            for name, reason in contender["not_measured"].items()
            if name in ("psnr_global", *_metrics_of(record)) or contender is first
        ]
    lines += [f"differs from the paper: {each}" for each in protocol["differs_from_paper"]]
    return lines


def _cost(first: dict[str, Any]) -> str:
    from sweettok_cli.evaluation.tables import figure

    price = first["cost"]["clip_256"]
    spent = first["summary"].get("bits_per_pixel", {}).get("value")
    rate = first["summary"].get("kbit_per_second", {}).get("value")
    return (
        f"cost  {' + '.join(str(number) for number in price['tokens'].values())} tokens "
        f"({price['indices']} indices, {price['kbit']:.2f} kbit) for {price['frames']} frames of "
        f"{price['width']}x{price['height']}; here {figure(spent, 4)} bits per pixel, "
        f"{figure(rate, 1)} kbit/s"
    )


def _metrics_of(record: dict[str, Any]) -> list[str]:
    return [name for each in record["contenders"] for name in each["summary"]]


def _unit(record: dict[str, Any], name: str) -> str:
    return next((e["summary"][name]["unit"] for e in record["contenders"] if name in e["summary"]), "")


def _range(each: dict[str, Any], digits: int) -> str:
    if each["low"] is None:
        return ""
    return f" [{each['low']:+.{digits}f}, {each['high']:+.{digits}f}]"
