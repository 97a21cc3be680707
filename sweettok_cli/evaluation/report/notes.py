"""What has to be known to trust the figures: protocol, what is missing, warnings, machine, command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweettok_cli.evaluation.report.choices import in_words, rows
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import bullets, code, escape, more, name, pairs, plural

_LISTED = 20


def alerts(findings: Findings) -> str:
    """What must be seen before any figure: failed files and warnings. Empty where all is well."""
    parts = []
    failed = findings.record["failed"]
    if failed:
        lines = [f"{name(each['name'])}: {escape(each['error'])}" for each in failed]
        shown = bullets(lines[:_LISTED])
        if len(lines) > _LISTED:
            shown += more(f"{len(lines) - _LISTED} more", bullets(lines[_LISTED:]))
        parts.append(f"<p><b>{plural(len(failed), 'file')} failed</b> and counts in no figure.</p>{shown}")
    warnings = _warnings(findings)
    if warnings:
        parts.append(f"<p><b>{plural(len(warnings), 'warning')}</b></p>{bullets(map(escape, warnings))}")
    if not parts:
        return ""
    return f'<aside class="alerts" aria-label="Warnings">{"".join(parts)}</aside>'


def _warnings(findings: Findings) -> list[str]:
    found: dict[str, list[str]] = {}
    for each in findings.contenders:
        for warning in each["warnings"]:
            found.setdefault(warning, []).append(each["name"])
    # Many say already whom they are about.
    return [
        text
        if any(who in text for who in whom) or len(whom) == len(findings.names)
        else f"{', '.join(whom)}: {text}"
        for text, whom in found.items()
    ]


def protocol_box(findings: Findings) -> str:
    """Every choice, and what of the paper is not reproduced."""
    protocol = findings.record["protocol"]
    box = pairs((escape(label), escape(words)) for label, words in rows(protocol))
    if protocol["differs_from_paper"]:
        box += "<h3>What differs from the paper</h3>" + bullets(
            map(escape, protocol["differs_from_paper"]), "plain"
        )
    return box


def not_measured(findings: Findings) -> str:
    """Figures that could not be had, with the reasons, once for all contenders that share one."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in findings.contenders:
        for metric, reason in each["not_measured"].items():
            found.setdefault((metric, reason), []).append(each["name"])
    if not found:
        return "<p>Everything that was asked for was measured.</p>"
    facts = []
    for (metric, reason), whom in found.items():
        of = "" if len(whom) == len(findings.names) else f" of {', '.join(map(name, whom))}"
        facts.append((f"{escape(findings.title(metric))}{of}", escape(reason)))
    return pairs(facts)


def origin(findings: Findings) -> str:
    """Command, data, contenders, machine."""
    record = findings.record
    data = record["data"]
    facts = [
        ("command", code(record["command"])),
        ("sweettok", escape(record["sweettok"])),
        ("measured", escape(record["date"])),
        (
            "data",
            f"{name(data['name'])}: {plural(data['clips'], 'clip')} of {plural(data['items'], 'item')}, "
            f"{plural(data['frames'], 'frame')}",
        ),
    ]
    facts += [("note", escape(note)) for note in data.get("notes", [])]
    facts += [(escape(key), escape(value)) for key, value in record["machine"].items()]
    settings = "".join(
        more(f"{name(each['name'])}, {escape(each['kind'])}", pairs(_settings(each)))
        for each in findings.contenders
    )
    return pairs(facts) + settings


def _settings(contender: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("family", "weights_sha256"):
        if contender[key]:
            yield escape(key.replace("_", " ")), code(contender[key])
    for key, value in contender["settings"].items():
        if value is not None:
            yield escape(key.replace("_", " ")), escape(in_words(value))
