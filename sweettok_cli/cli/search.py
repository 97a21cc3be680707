"""``sweettok search``: the videos of a folder whose tokens name the same words as a query's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.columns import fitted
from sweettok_cli.cli.output import Output
from sweettok_cli.cli.reading import Reading
from sweettok_cli.errors import SweettokError

if TYPE_CHECKING:
    import numpy as np

    from sweettok_cli.words.reader import FileWords
    from sweettok_cli.words.search import Hit

SHOWN = 10


def search(
    query: Annotated[
        Path, Argument(help="Token file, video or picture to search for.", metavar="QUERY", readable=False)
    ],
    files: options.WordFilesArgument,
    top: Annotated[
        int | None,
        Option(min=1, help="Files to show.", show_default=f"{SHOWN}, with --json all"),
    ] = None,
    model: options.WordModelOption = None,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Rank files by how alike their words are to those of a query, most alike first.

    Compared is what is seen: adjectives and nouns, tokens of detail left out. A word counts less the more of
    the files name it. The similarity goes from 0 to 1; beside it stand the words that it owes most to.

    No video is needed where there are token files; all must be of one model. Videos and pictures are encoded
    first, in the fixed layout, the query with the model of the others. The query itself is left out if it is
    among them.

    It finds other clips of the same video. Where the videos are at hand, a histogram of their colours finds
    more of them; what kind of thing is seen, neither tells (docs/words.md has figures).

    Examples:

        sweettok search clip.npz tokens/

        sweettok search photo.jpg tokens/ --top 3 --json
    """
    options.check_damage(keep_going, strict)
    from sweettok_cli.models.common.budget import Budget
    from sweettok_cli.words.reader import WordReader, find_readable, of_one_model
    from sweettok_cli.words.search import WordIndex, count_words

    output = Output(json=as_json, quiet=quiet)

    def reader(model: str | None) -> WordReader:
        return WordReader(model, output.progress, keep_going, strict, Budget(fixed=True))

    reading = Reading(reader(model), output)
    others = [file for file in find_readable(files) if file.resolve() != query.resolve()]
    if not others:
        raise SweettokError(f"There is no file but {query} to search; name a folder of others.")

    def each() -> Iterator[FileWords]:
        """The files, then the query, by their model."""
        own = model
        for read in reading.read(others):
            own = own or read.model
            yield read
        yield reader(own).read(query)

    known: dict[Path, dict[str, np.ndarray]] = {}
    for found in of_one_model(each()):
        known[found.file] = count_words(found.tokens)
    asked = known.pop(query)
    hits = WordIndex(known).rank(asked, found.counts.words, top if top or as_json else SHOWN)
    data = {
        "query": str(query),
        "model": found.tokens.meta.model,
        "files": [{**vars(hit), "file": str(hit.file)} for hit in hits],
    }
    reading.show(data, _table(hits) if hits and not as_json else None)


def _table(hits: list[Hit]) -> str:
    columns = {
        "alike": [f"{hit.similarity:.3f}" for hit in hits],
        "file": [str(hit.file) for hit in hits],
        "words": [", ".join(hit.words) or "-" for hit in hits],
    }
    return fitted(columns, spare=(), wrapped={"file": 20, "words": 20}, right={"alike"})
