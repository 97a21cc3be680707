"""The page as a whole: pieces of HTML put into one template, with style, program and pictures inside."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from sweettok_cli.evaluation.report import headline, notes
from sweettok_cli.evaluation.report.clip_table import clip_table
from sweettok_cli.evaluation.report.films import Films, Media, make_films
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.markup import blob, bullets, escape
from sweettok_cli.evaluation.report.published_table import published_table
from sweettok_cli.evaluation.report.rate_plot import rate_plots
from sweettok_cli.evaluation.report.strip_plot import strip_plot
from sweettok_cli.evaluation.report.summary_table import summary_table
from sweettok_cli.evaluation.report.usage import codebooks
from sweettok_cli.files import atomic_output, check_target


def write_report(record: dict[str, Any], media: Media | None, path: Path, force: bool = False) -> None:
    """Write the page of a run. It is one file that needs no network and no other file.

    Args:
        record: see ``evaluation/record.py``.
        media: gives the frames of the clips that are shown moving; None for a page without them.
        path: the file.
        force: replace an existing file.

    Raises:
        SweettokError: the file exists without ``force``, or cannot be written.
    """
    check_target(path, force)
    page = make_page(record, media)
    with atomic_output(path, force) as part:
        part.write_text(page, encoding="utf-8")


def make_page(record: dict[str, Any], media: Media | None) -> str:
    """The page as text; see :func:`write_report`. A clip that can no longer be read is named in it."""
    findings = Findings(record)
    films = make_films(findings, media)
    numbers = {place: number for number, place in enumerate(films.places)}
    plots = rate_plots(findings)
    return Template(_asset("page.html")).substitute(
        title=escape(headline.title(findings)),
        style=_asset("page.css"),
        heading=headline.heading(findings),
        verdict=headline.verdict(findings),
        tiles=headline.tiles(findings),
        alerts=notes.alerts(findings),
        strip=strip_plot(findings),
        player_state="" if films.films else "hidden",
        film_notes=bullets(map(escape, films.notes), "plain") if films.notes else "",
        rate_plots=plots,
        rate_state="" if plots else "hidden",
        summary=summary_table(findings),
        clips=clip_table(findings, numbers),
        codebooks=codebooks(findings),
        published=published_table(findings),
        protocol=notes.protocol_box(findings),
        not_measured=notes.not_measured(findings),
        origin=notes.origin(findings),
        facts=blob({"films": films.facts(findings), "contenders": findings.names}),
        films=_film_blocks(films),
        script=_asset("table.js") + _asset("player.js"),
    )


def _film_blocks(films: Films) -> str:
    """Apart from the facts, so that a film is unpacked only when it is to be seen."""
    return "".join(
        f'<script type="text/plain" id="film-{number}">{data}</script>\n'
        for number, data in enumerate(films.blobs())
    )


def _asset(file: str) -> str:
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
