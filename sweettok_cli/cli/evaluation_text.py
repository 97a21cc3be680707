"""What ``sweettok eval`` says to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweettok_cli.cli.output import as_text, count

if TYPE_CHECKING:
    from sweettok_cli.evaluation.record import MethodFacts, Record

#: Clips that are listed; of more only the worst are.
_SHOWN, _WORST = 40, 10


def as_words(record: Record) -> str:
    """Tables and sentences: clips, methods, cost, codebooks, what is missing."""
    tables = [_clips(record)] if record.clips else []
    if record.clips and len(record.methods) > 1:
        tables.append(_methods(record))
    return as_text(*tables, *_lines(record))


def _table(*headings: str) -> Any:
    from rich import box
    from rich.table import Column, Table

    figures = (Column(heading, justify="right", no_wrap=True) for heading in headings[1:])
    return Table(Column(headings[0], overflow="fold"), *figures, box=box.SIMPLE_HEAD, pad_edge=False)


def _clips(record: Record) -> Any:
    """The clips as the first method gives them back."""
    from sweettok_cli.evaluation.tables import COSTS, STEADINESS, TITLES, digits_of, figure

    first, clips = record.methods[0], record.clips
    scores = {clip.name: clip.scores[first.name].to_json() for clip in clips}
    metrics = [m for m in TITLES if m in first.summary and any(m in each for each in scores.values())]
    costs = (*COSTS, *STEADINESS)
    shown = [*[m for m in metrics if m not in costs][:4], "bits_per_pixel", "seam_flicker"]
    heading = "file"
    if len(clips) > _SHOWN and shown[0] not in costs:
        higher = first.summary[shown[0]].better == "higher"
        scored = [clip for clip in clips if shown[0] in scores[clip.name]]
        worst = sorted(scored, key=lambda clip: scores[clip.name][shown[0]], reverse=not higher)[:_WORST]
        heading, clips = f"worst {len(worst)} of {len(clips)}", tuple(worst)
    headings = {"psnr": "PSNR dB", "bits_per_pixel": "bits/pixel", "seam_flicker": "seams"}
    table = _table(heading, "size", "frames", *(headings.get(m, TITLES[m]) for m in shown), "seconds")
    digits = [digits_of(m, first.summary[m].unit if m in first.summary else "") for m in shown]
    for clip in clips:
        each = scores[clip.name]
        table.add_row(
            clip.name,
            f"{clip.width}x{clip.height}",
            str(clip.frames),
            *(figure(each.get(m), d) for m, d in zip(shown, digits, strict=True)),
            f"{each['seconds']:.1f}",
        )
    return table


def _methods(record: Record) -> Any:
    """One row a figure, one column a method: intervals are wide."""
    from sweettok_cli.evaluation.tables import TITLES, with_interval

    summaries = [each.summary for each in record.methods]
    table = _table("", *(each.name for each in record.methods))
    for name in (name for name in TITLES if any(name in summary for summary in summaries)):
        cells = (with_interval(name, s[name]) if name in s else "-" for s in summaries)
        table.add_row(TITLES[name], *cells)
    return table


def _lines(record: Record) -> list[str]:
    from sweettok_cli.evaluation import tables
    from sweettok_cli.evaluation.tables import TITLES, digits_of, with_interval

    first, data, protocol = record.methods[0], record.data, record.protocol
    failed = f" ({len(record.failed)} failed)" if record.failed else ""
    lines = [
        f"{first.name} on {data.name}, {count(data.clips, 'file')}{failed}, {count(data.frames, 'frame')}, "
        f"{first.seconds.encode + first.seconds.decode:.0f} s in the model; protocol {protocol.name}, mean "
        f"over {protocol.average}, 95 % intervals over clips"
    ]
    for name, entry in first.summary.items() if len(record.methods) == 1 else ():
        if name in (*tables.COSTS, *tables.STEADINESS):
            continue
        also = ""
        if entry.mean_of_clips is not None and protocol.average == "frames" and data.clips > 1:
            also = f", {tables.figure(entry.mean_of_clips, digits_of(name, entry.unit))} mean of files"
        unit = f" {entry.unit}" if entry.unit else ""
        lines.append(f"{tables.short_title(name):<5} {with_interval(name, entry)}{unit}{also}")
    lines.append(_cost(first))
    if "seam_flicker" in first.summary:
        lines.append(
            f"seams {with_interval('seam_flicker', first.summary['seam_flicker'])} times the change that "
            "the error makes inside clips (1: borders between clips do not show)"
        )
    lines += [
        f"words {part}: {100 * use.use:.0f} % of {use.size} used, perplexity {use.perplexity:.0f}, "
        f"{use.entropy_bits:.1f} bits a code"
        for part, use in first.codebooks.items()
    ]
    units = {name: entry.unit for each in reversed(record.methods) for name, entry in each.summary.items()}
    for pair in record.comparisons:
        digits = digits_of(pair.metric, units.get(pair.metric, ""))
        between = "" if pair.low is None else f" [{pair.low:+.{digits}f}, {pair.high:+.{digits}f}]"
        lines.append(f"{pair.a} - {pair.b}: {TITLES[pair.metric]} {pair.difference:+.{digits}f}{between}")
    for method in record.methods:
        lines += [
            f"{TITLES.get(name, name)} of {method.name} was not measured: {reason}"
            for name, reason in method.not_measured.items()
            if name == "psnr_global" or name in units or method is first
        ]
    lines += [f"differs from the paper: {each}" for each in protocol.differs_from_paper]
    return lines


def _cost(first: MethodFacts) -> str:
    from sweettok_cli.evaluation.tables import COSTS, figure

    clip = first.cost.clip_256
    assert clip is not None  # the first is a model
    pixel, second = (first.summary[name].value if name in first.summary else None for name in COSTS)
    return (
        f"cost  {' + '.join(str(number) for number in clip.tokens.values())} tokens "
        f"({clip.indices} indices, {clip.kbit:.2f} kbit) for {clip.frames} frames of "
        f"{clip.width}x{clip.height}; here {figure(pixel, 4)} bits per pixel, {figure(second, 1)} kbit/s"
    )
