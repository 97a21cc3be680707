"""``sweettok words``: the words that a token file names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import Output
from sweettok_cli.cli.tables import as_text

if TYPE_CHECKING:
    from sweettok_cli.evaluation.word_counts import RankedWord, WordCounts

SHOWN = 20


def words(
    file: Annotated[Path, typer.Argument(help="A token file.", metavar="TOKENS", readable=False)],
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            help="Words to show of each part of speech.",
            show_default=f"{SHOWN}, with --json all",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model whose words to use.", show_default="the one in the file"),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the words that the tokens of a clip name, most frequent first, by part of speech.

    Every token is two modifiers and a head: adjectives and a noun for what is seen, adverbs and a verb for
    how it moves. The share is that of all words of its part of speech in the file.

    Examples:

        sweettok words clip.npz

        sweettok words clip.npz --top 5 --json
    """
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.evaluation.word_counts import WordCounts
    from sweettok_cli.evaluation.word_lists import read_word_lists
    from sweettok_cli.tokens.file import read_tokens

    tokens = read_tokens(file)
    if tokens.meta.family != "sweettok":
        raise SweettokError(f"{file} holds tokens of {tokens.meta.model}, whose codebook has no words.")
    counts = WordCounts(tokens.meta.codebooks)
    counts.add(tokens.arrays)
    lists = read_word_lists(model or tokens.meta.model, tokens.meta.weights_sha256)
    ranking = counts.ranking(lists, top if top or as_json else SHOWN)
    data = {
        "file": str(file),
        "model": tokens.meta.model,
        "words": {part: [vars(word) for word in ranked] for part, ranked in ranking.items()},
        "use": {part: vars(use) for part, use in counts.use().items()},
    }
    Output(json=as_json, quiet=quiet).result(data, None if as_json else _table(ranking, counts))


def _table(ranking: dict[str, list[RankedWord]], counts: WordCounts) -> str:
    from rich.columns import Columns
    from rich.table import Table

    tables = []
    for part, ranked in ranking.items():
        use = counts.use()[part]
        table = Table(title=f"{part}: {use.used} of {use.size}", title_justify="left", box=None, min_width=30)
        table.add_column("word")
        table.add_column("count", justify="right")
        table.add_column("share", justify="right")
        for word in ranked:
            table.add_row(word.word, str(word.count), f"{100 * word.share:.1f} %")
        tables.append(table)
    return as_text(Columns(tables, padding=(1, 4)))
