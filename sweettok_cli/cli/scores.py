"""What ``sweettok eval`` shows of its record: tables no wider than the terminal, and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sweettok_cli.cli.output import as_text, count, shown, text_width

if TYPE_CHECKING:
    from sweettok_cli.evaluation.record import ClipFacts, MethodFacts, Record

#: Clips that are listed; of more only the worst are.
_SHOWN, _WORST = 40, 10
#: Columns that names get at least if they need them, before figures are left out.
_NAME_WIDTH = 28
_GAP = 2  # between columns


def scores_text(record: Record) -> str:
    """Clips, methods, differences, cost, codebooks, what is missing."""
    width = text_width()
    tables, left_out = _clips(record, width) if record.clips else ([], [])
    if record.clips and len(record.methods) > 1:
        tables += [*_methods(record, width), *_differences(record, width)]
    if left_out:
        tables.insert(1, f"not shown for want of width: {', '.join(left_out)}; --csv has all")
    apart = [part for table in tables for part in (table, "")]
    return as_text(*apart, *map(shown, _lines(record)))


class _Column(NamedTuple):
    """A heading, which may be wrapped where a name is part of it, and the cells below."""

    heading: str
    cells: list[str]
    importance: int = 0  # what matters least is left out first
    most: int = 999  # characters in a line

    def width(self, heading: int) -> int:
        """With at most so many characters of the heading in a line."""
        line = max(map(len, self.heading.split("\n")))
        return min(self.most, max(min(line, heading), *map(len, self.cells)))


def _table(names: _Column, columns: list[_Column], width: int, texts: int = 0) -> Any:
    """Names, as wide as there is room, and beside them columns, the first ``texts`` of them to the left."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Column, Table

    heading = next((n for n in (40, 24, 16, 10) if _room(columns, width, n) >= _NAME_WIDTH), 7)
    longest = max(cell_len(text) for text in (*names.heading.split("\n"), *names.cells))
    name_width = max(8, min(longest, _room(columns, width, heading)))
    table = Table(
        Column(names.heading, overflow="fold", width=name_width),
        *(
            Column(
                each.heading,
                justify="left" if place < texts else "right",
                overflow="fold",
                width=each.width(heading),
            )
            for place, each in enumerate(columns)
        ),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0, 0, _GAP - 1),
    )
    for row in zip(names.cells, *(each.cells for each in columns), strict=True):
        table.add_row(*row)
    return table


def _room(columns: list[_Column], width: int, heading: int) -> int:
    """What is left for names beside columns whose headings are wrapped after so many characters."""
    return width - sum(each.width(heading) + _GAP for each in columns)


def _fitting(names: list[str], columns: list[_Column], width: int) -> list[_Column]:
    """The columns without the least important ones, so that names have room."""
    kept, wanted = list(columns), min(_NAME_WIDTH, max(map(len, names)))
    while len(kept) > 1 and _room(kept, width, 10) < wanted:
        kept.remove(min(kept, key=lambda each: each.importance))
    return kept


def _clips(record: Record, width: int) -> tuple[list[Any], list[str]]:
    """The clips as the first method gives them back, or beside each other as all do; what is left out."""
    from sweettok_cli.evaluation.tables import COSTS, STEADINESS, TITLES

    first, clips, several = record.methods[0], record.clips, len(record.methods) > 1
    known = {name for clip in clips for name in clip.scores[first.name].to_json()}
    metrics = [m for m in TITLES if m in first.summary and m in known and m not in (*COSTS, *STEADINESS)]
    lead = metrics[0] if metrics else "bits_per_pixel"
    heading = "file"
    if len(clips) > _SHOWN and metrics:
        scored = [clip for clip in clips if _score(clip, first, lead) is not None]
        higher = first.summary[lead].better == "higher"
        clips = tuple(sorted(scored, key=lambda clip: _score(clip, first, lead), reverse=not higher)[:_WORST])
        heading = f"worst {len(clips)} of {len(record.clips)}" + (f" by {first.name}" if several else "")
    columns = [
        _Column("size", [f"{clip.width}x{clip.height}" for clip in clips], 3),
        _Column("frames", [str(clip.frames) for clip in clips], 2),
    ]
    if several:
        columns += [
            _figures(clips, method, lead, f"{_heading(lead)}\n{shown(method.name)}", 99 - place)
            for place, method in enumerate(record.methods)
        ]
    else:
        for place, metric in enumerate(metrics[:4]):
            columns.append(_figures(clips, first, metric, _heading(metric), (9, 6, 1, 1)[place]))
        columns.append(_figures(clips, first, "bits_per_pixel", "bits/pixel", 5))
        columns.append(_figures(clips, first, "seam_flicker", "seams", 0))
        seconds = [f"{clip.scores[first.name].seconds:.1f}" for clip in clips]
        columns.append(_Column("seconds", seconds, -1))
    names = [shown(clip.name) for clip in clips]
    kept = _fitting(names, columns, width)
    left_out = [each.heading.replace("\n", " of ") for each in columns if each not in kept]
    return [_table(_Column(heading, names), kept, width)], left_out


def _heading(metric: str) -> str:
    from sweettok_cli.evaluation.tables import TITLES

    return {"psnr": "PSNR dB", "bits_per_pixel": "bits/pixel"}.get(metric, TITLES[metric])


def _score(clip: ClipFacts, method: MethodFacts, metric: str) -> Any:
    return clip.scores[method.name].to_json().get(metric)


def _figures(
    clips: tuple[ClipFacts, ...], method: MethodFacts, metric: str, heading: str, importance: int
) -> _Column:
    from sweettok_cli.evaluation.tables import digits_of, figure

    digits = digits_of(metric, method.summary[metric].unit if metric in method.summary else "")
    return _Column(heading, [figure(_score(clip, method, metric), digits) for clip in clips], importance)


def _methods(record: Record, width: int) -> list[Any]:
    """One row a figure, one column a method: intervals are wide. More tables where there is no room."""
    from sweettok_cli.evaluation.tables import TITLES, with_interval

    summaries = [each.summary for each in record.methods]
    names = [name for name in TITLES if any(name in summary for summary in summaries)]
    titles = _Column("", [TITLES[name] for name in names])
    columns = [
        _Column(
            shown(method.name),
            [with_interval(n, method.summary[n]) if n in method.summary else "-" for n in names],
        )
        for method in record.methods
    ]
    room = max(map(len, titles.cells))
    tables, held = [], columns[:1]
    for column in columns[1:]:
        if _room([*held, column], width, 10) < room:
            tables.append(_table(titles, held, width))
            held = []
        held.append(column)
    return [*tables, _table(titles, held, width)]


def _differences(record: Record, width: int) -> list[Any]:
    """One row for each pair of methods and each figure: which is better, and by how much."""
    from sweettok_cli.evaluation.tables import TITLES, digits_of

    units = {name: entry.unit for each in reversed(record.methods) for name, entry in each.summary.items()}
    pairs = record.comparisons
    if not pairs:
        return []
    digits = [digits_of(pair.metric, units.get(pair.metric, "")) for pair in pairs]
    between = [
        "-" if pair.low is None else f"[{pair.low:+.{d}f}, {pair.high:+.{d}f}]"
        for pair, d in zip(pairs, digits, strict=True)
    ]
    columns = [
        _Column("A - B", [f"{pair.difference:+.{d}f}" for pair, d in zip(pairs, digits, strict=True)]),
        _Column("95 % interval", between),
    ]
    titles = [TITLES[pair.metric] for pair in pairs]
    # Names share what figures leave; they are wrapped where that is too little.
    room = (width - max(map(len, titles), default=0) - sum(each.width(40) + _GAP for each in columns)) // 2
    names = [
        _Column(side, [shown(getattr(pair, side.lower())) for pair in pairs], most=max(8, room - _GAP))
        for side in ("A", "B")
    ]
    return [_table(_Column("metric", titles), [*names, *columns], width, texts=2)]


def _lines(record: Record) -> list[str]:
    from sweettok_cli.evaluation import tables
    from sweettok_cli.evaluation.tables import TITLES, digits_of, with_interval

    first, data, protocol = record.methods[0], record.data, record.protocol
    models = [each for each in record.methods if each.kind == "model"]
    failed = f" ({len(record.failed)} failed)" if record.failed else ""
    seconds = " + ".join(f"{each.seconds.encode + each.seconds.decode:.0f}" for each in models)
    lines = [
        f"{', '.join(tables.in_short(record.methods))} on {data.name}, {count(data.clips, 'file')}"
        f"{failed}, {count(data.frames, 'frame')}, {seconds} s in the model{'s' * (len(models) > 1)}; "
        f"protocol {protocol.name}, mean over {protocol.average}, 95 % intervals over clips"
    ]
    for name, entry in first.summary.items() if len(record.methods) == 1 else ():
        if name in (*tables.COSTS, *tables.STEADINESS):
            continue
        also = ""
        if entry.mean_of_clips is not None and protocol.average == "frames" and data.clips > 1:
            also = f", {tables.figure(entry.mean_of_clips, digits_of(name, entry.unit))} mean of files"
        unit = f" {entry.unit}" if entry.unit else ""
        lines.append(f"{tables.short_title(name):<5} {with_interval(name, entry)}{unit}{also}")
    seen: set[str] = set()
    for model in models:
        whose = f"{model.name}: " if len(models) > 1 else ""
        lines += [whose + line for line in _model_lines(model, words=model.series not in seen)]
        seen.add(model.series)
    if len(seen) < len(models):
        lines.append("words of further budgets of a model are not shown; --json has all")
    units = {name for each in record.methods for name in each.summary}
    for method in record.methods:
        lines += [
            f"{TITLES.get(name, name)} of {method.name} was not measured: {reason}"
            for name, reason in method.not_measured.items()
            if name == "psnr_global" or name in units or method is first
        ]
    lines += [f"differs from the paper: {each}" for each in protocol.differs_from_paper]
    return lines


def _model_lines(model: MethodFacts, words: bool) -> list[str]:
    """Cost, seams and (``words``) codebooks of one model."""
    from sweettok_cli.evaluation.tables import COSTS, figure, with_interval

    pixel, second = (model.summary[name].value if name in model.summary else None for name in COSTS)
    rate = "" if second is None else f", {figure(second, 1)} kbit/s"
    lines = [f"cost  {_clip_cost(model)}; here {figure(pixel, 4)} bits per pixel{rate}"]
    if "seam_flicker" in model.summary:
        lines.append(
            f"seams {with_interval('seam_flicker', model.summary['seam_flicker'])} times the change that "
            "the error makes inside clips (1: borders between clips do not show)"
        )
    return lines + [
        f"words {part}: {100 * use.use:.0f} % of {use.size} used, perplexity {use.perplexity:.0f}, "
        f"{use.entropy_bits:.1f} bits a code"
        for part, use in (model.codebooks if words else {}).items()
    ]


def _clip_cost(model: MethodFacts) -> str:
    """What a clip of a model costs: each the same, or on average of those that were measured."""
    cost, clip = model.cost, model.cost.clip_256
    if clip is not None:
        return (
            f"{' + '.join(str(number) for number in clip.tokens.values())} tokens "
            f"({clip.indices} indices, {clip.kbit:.2f} kbit) for {count(clip.frames, 'frame')} of "
            f"{clip.width}x{clip.height}"
        )
    tokens, indices, bits = (each / max(1, cost.clips) for each in (cost.tokens, cost.indices, cost.bits))
    return f"{tokens:,.0f} tokens ({indices:,.0f} indices, {bits / 1000:.2f} kbit) a clip on average"
