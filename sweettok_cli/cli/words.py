"""``sweettok words``: the words that clips name, which clip by which words, and where in the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from sweettok_cli.cli import options
from sweettok_cli.cli.columns import lined_up
from sweettok_cli.cli.output import Output, as_text, shown
from sweettok_cli.cli.reading import Reading
from sweettok_cli.errors import SweettokError, WrongUsage

if TYPE_CHECKING:
    from sweettok_cli.metrics.codebook_use import ListUse
    from sweettok_cli.words.counts import RankedWord
    from sweettok_cli.words.reader import FileWords, TellingWord, WordReader

SHOWN, TELLING = 20, 3
# What lists are called for people, where not by their names.
_TITLES = {"detail": "nouns of detail"}


def words(
    files: options.WordFilesArgument,
    top: Annotated[
        int | None,
        Option(
            min=1,
            help="Words to show of each part of speech.",
            show_default=f"{SHOWN}, with --json all; {TELLING} of several files",
        ),
    ] = None,
    classes: Annotated[
        bool,
        Option(
            "--classes",
            help="Each folder in DIR is a class: show the words that its clips name most, right and wrong.",
        ),
    ] = False,
    video: Annotated[
        Path | None, Option(help="Write the source with the words of each region on it.", metavar="FILE")
    ] = None,
    source: Annotated[
        Path | None,
        Option(help="What the tokens were made from.", metavar="FILE", show_default="beside the token file"),
    ] = None,
    model: options.WordModelOption = None,
    fixed: options.FixedOption = False,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show the words that the tokens of a clip name, most frequent first, by part of speech.

    Every token is two modifiers and a head: adjectives and a noun for what is seen, adverbs and a verb for
    how it moves. The share is that of all words of its part of speech in the file. Tokens of detail, a noun
    each for a few pixels of a few frames, are a list of their own, with how often the first, the second, ...
    of a cell name the word: there it stands for another pattern at each level. Videos and pictures are
    encoded first. Of a folder, its token files are taken, or its videos where it has none.

    Of several files, the words are shown that tell each from all of them: those that it names more often.

    With --classes, of a folder with a folder for each class, the words are shown that the clips of each class
    name most. Right are those that tell the class from the others, wrong those that other classes name as
    much. Where the class's name has words that the model knows, it is shown how near to it they are in
    meaning.

    --video writes the leading adjective and noun over each region of the frame, and the adverb and verb where
    it moves; tokens of detail are left out, for they correct a region in places and do not speak for it.

    Examples:

        sweettok words clip.npz

        sweettok words clip.npz --top 5 --json

        sweettok words clips/

        sweettok words UCF-101/ --classes --fixed

        sweettok words clip.mp4 --video clip.words.mp4
    """
    options.check_damage(keep_going, strict)
    budget = options.budget_of(None, None, fixed)
    from sweettok_cli.files import check_ending, check_target
    from sweettok_cli.video.images import WRITTEN
    from sweettok_cli.video.writer import VIDEO_ENDINGS
    from sweettok_cli.words.reader import WordReader

    output = Output(json=as_json, quiet=quiet)
    several = len(files) > 1 or files[0].is_dir()
    if source is not None and video is None:
        raise typer.BadParameter("it goes with --video", param_hint="--source")
    if video is not None:
        if several:
            raise typer.BadParameter("it takes one file", param_hint="--video")
        check_ending(video, (*VIDEO_ENDINGS, *sorted(WRITTEN)))
        check_target(video, force)
    if fixed:
        _check_fixed(files)
    reader = WordReader(model, output.progress, keep_going, strict, budget)
    if classes:
        if len(files) > 1 or not files[0].is_dir():
            raise typer.BadParameter("it takes one folder, of class folders", param_hint="--classes")
        _classes(files[0], reader, top or TELLING, output)
        return
    if several:
        _contrast(files, reader, top or TELLING, output)
        return
    found = reader.read(files[0])
    ranking, use = found.counts.ranking(top if top or as_json else SHOWN), found.counts.use()
    data: dict[str, Any] = {
        "file": str(found.file),
        "model": found.tokens.meta.model,
        "words": _plain(ranking),
        "use": {part: vars(each) for part, each in use.items()},
    }
    if video is not None:
        _write_video(found, source or found.source, video, force, output)
        data["video"] = str(video)
    output.result(data, None if as_json else _table(ranking, use))


def _check_fixed(given: list[Path]) -> None:
    """Refuse ``--fixed`` where a token file was encoded otherwise; what cannot be read is told later."""
    from sweettok_cli.packing.token_file import read_meta
    from sweettok_cli.words.reader import find_readable, is_stored

    for file in find_readable(given):
        try:
            levels = is_stored(file) and read_meta(file).levels
        except SweettokError:
            continue
        if levels:
            raise WrongUsage(
                f"{file} holds tokens already, with levels of detail; leave out --fixed, or encode its "
                "source with --fixed."
            )


def _write_video(found: FileWords, source: Path, video: Path, force: bool, output: Output) -> None:
    from sweettok_cli.files import is_file
    from sweettok_cli.words.overlay import write_overlay

    if not is_file(source):
        raise SweettokError(f"{source} is not there; name what the tokens were made from with --source.")
    words = found.map()
    with output.progress(video.name) as update:
        write_overlay(words, source, video, force=force, on_progress=update)
    output.say(f"{source} -> {video}: words of regions of {words.region}x{words.region} pixels")


def _contrast(given: list[Path], reader: WordReader, top: int, output: Output) -> None:
    """Which words fire for which file."""
    from sweettok_cli.words.reader import contrast, find_readable

    reading = Reading(reader, output)
    telling = contrast(reading.read(find_readable(given)), top)
    files = [{"file": str(file), "words": _plain(each)} for file, each in telling]
    reading.show({"files": files}, _contrast_table(telling) if telling and not output.json else None)


def _classes(folder: Path, reader: WordReader, top: int, output: Output) -> None:
    """Which words are right and wrong for which class."""
    from sweettok_cli.cli.class_words import class_record, class_text
    from sweettok_cli.words.classes import ClassTable, find_classes, mark_words
    from sweettok_cli.words.nearness import read_nearness

    reading = Reading(reader, output)
    labels = {file: label for label, file in find_classes(folder)}
    table = ClassTable((labels[found.file], found) for found in reading.read(labels))
    near = None if table.model is None else read_nearness(table.model)
    found = mark_words(table, top, near)
    reading.show(class_record(*found), class_text(*found) if found[0] and not output.json else None)


def _plain(words: Mapping[str, Sequence[Any]]) -> dict[str, list[dict[str, Any]]]:
    return {part: [_known(word) for word in each] for part, each in words.items()}


def _known(word: RankedWord | TellingWord) -> dict[str, Any]:
    """Its facts, levels only where there are any."""
    return {name: value for name, value in vars(word).items() if value != ()}


def _contrast_table(telling: list[tuple[Path, dict[str, list[TellingWord]]]]) -> str:
    parts = [part for part in telling[0][1] if any(each[part] for _, each in telling)] or list(telling[0][1])
    blocks = []
    for file, each in telling:
        words = {part: ", ".join(f"{word.word} x{word.lift:.1f}" for word in each[part]) for part in parts}
        lines = lined_up([f"  {_TITLES.get(part, part)}", words[part] or "-"] for part in parts)
        blocks.append(f"{shown(file.name)}\n{lines}")
    return "\n\n".join([*blocks, "x: how many times the word's share in all files together"])


def _table(ranking: dict[str, list[RankedWord]], uses: dict[str, ListUse]) -> str:
    from rich.columns import Columns
    from rich.table import Column, Table

    tables = []
    for part, ranked in ranking.items():
        if not ranked:  # a picture has nothing that moves
            continue
        use = uses[part]
        names = ("count", "share", "by level") if ranked[0].levels else ("count", "share")
        numbers = (Column(name, justify="right") for name in names)
        table = Table("word", *numbers, title_justify="left", box=None, min_width=30)
        table.title = f"{_TITLES.get(part, part)}: {use.used} of {use.size}"
        for word in ranked:
            levels = [" + ".join(map(str, word.levels))] * bool(word.levels)
            table.add_row(shown(word.word), str(word.count), f"{100 * word.share:.1f} %", *levels)
        tables.append(table)
    return as_text(Columns(tables, padding=(1, 4)))
