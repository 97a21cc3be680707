"""The page that ``sweettok eval --report`` writes: one file, for a browser, without a network.

Python finds what is shown (findings, tables, charts, films); the templates say how.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sweettok_cli.evaluation.record import Record
from sweettok_cli.evaluation.report.charts import rank_plot, rate_plots, strip_plot
from sweettok_cli.evaluation.report.films import make_films
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.report.tables import clip_columns, clip_places, papers, separations
from sweettok_cli.evaluation.report.text import choices, in_words, number, plural, printable
from sweettok_cli.evaluation.run import Media
from sweettok_cli.evaluation.tables import digits_of
from sweettok_cli.files import atomic_output, check_target


def _shown(value: Any) -> Any:
    """What stands for an expression's value in the page, before it is escaped; text of templates stays."""
    return printable(value) if type(value) is str else value


_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {"choices": choices, "in_words": in_words, "number": number, "plural": plural}
_TEMPLATES.globals |= {"digits_of": digits_of, "rank_plot_of": rank_plot}
_TEMPLATES.policies["json.dumps_kwargs"] = {
    "ensure_ascii": False,
    "allow_nan": False,
    "separators": (",", ":"),
}


def write_report(record: Record, media: Media | None, path: Path, force: bool = False) -> None:
    """Write the page of a run. It is one file that needs no network and no other file.

    Args:
        record: of the run.
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


def make_page(record: Record, media: Media | None) -> str:
    """The page as text; see :func:`write_report`. A clip that can no longer be read is named in it."""
    findings = Findings(record)
    films = make_films(findings, media)
    places = clip_places(findings)
    return _TEMPLATES.get_template("page.html").render(
        record=record,
        findings=findings,
        strip=strip_plot(findings),
        films=films,
        facts=films.facts(findings),
        rate_plots=rate_plots(findings),
        places=places,
        columns=list(clip_columns(findings, places)),
        papers=papers(record),
        separations=separations(record),
    )
