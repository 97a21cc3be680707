"""``sweettok words``: the words that clips name, which clip by which words, and where in the frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweettok_cli.cli.options import DEFAULT_MODEL, ForceOption, JsonOption, QuietOption
from sweettok_cli.cli.output import Output, as_text, debugging, explain
from sweettok_cli.errors import SweettokError

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.tokens.meta import Tokens
    from sweettok_cli.words.counts import RankedWord, TellingWord, WordCounts

SHOWN, TELLING = 20, 3


def words(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Token files, videos or pictures, or folders of them.",
            metavar="FILE|DIR",
            readable=False,
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            help="Words to show of each part of speech.",
            show_default=f"{SHOWN}, with --json all; {TELLING} of several files",
        ),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option("--video", help="Write the source with the words of each region on it.", metavar="FILE"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source",
            help="What the tokens were made from.",
            metavar="FILE",
            show_default="beside the token file",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Model whose words to use.",
            show_default=f"the one in the file; {DEFAULT_MODEL} for videos",
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the words that the tokens of a clip name, most frequent first, by part of speech.

    Every token is two modifiers and a head: adjectives and a noun for what is seen, adverbs and a verb for
    how it moves. The share is that of all words of its part of speech in the file. Videos and pictures are
    encoded first. Of a folder, its token files are taken, or its videos where it has none.

    Of several files, the words are shown that tell each from all of them: those that it names more often.

    --video writes the leading adjective and noun over each region of the frame, and the adverb and verb where
    it moves.

    Examples:

        sweettok words clip.npz

        sweettok words clip.npz --top 5 --json

        sweettok words clips/

        sweettok words clip.mp4 --video clip.words.mp4
    """
    from sweettok_cli.files import check_target

    output = Output(json=as_json, quiet=quiet)
    several = len(files) > 1 or files[0].is_dir()
    if source is not None and video is None:
        raise typer.BadParameter("it goes with --video", param_hint="--source")
    if video is not None:
        if several:
            raise typer.BadParameter("it takes one file", param_hint="--video")
        check_target(video, force)
    opener = _Opener(model, output)
    if several:
        _contrast(files, opener, top or TELLING, output)
        return
    (file,) = files
    tokens, lists = opener.open(file)
    counts = _count(tokens)
    ranking = counts.ranking(lists, top if top or as_json else SHOWN)
    data: dict[str, Any] = {
        "file": str(file),
        "model": tokens.meta.model,
        "words": {part: [vars(word) for word in ranked] for part, ranked in ranking.items()},
        "use": {part: vars(use) for part, use in counts.use().items()},
    }
    if video is not None:
        _write_video(tokens, lists, file, source, video, opener, force, output)
        data["video"] = str(video)
    output.result(data, None if as_json else _table(ranking, counts))


class _Opener:
    """Tokens and words of any file; the model is loaded when a video needs it, and once."""

    def __init__(self, model: str | None, output: Output) -> None:
        self._model, self._output = model, output
        self._tokenizer: Tokenizer | None = None

    def open(self, file: Path) -> tuple[Tokens, dict[str, list[str]]]:
        """Raises SweettokError: it cannot be read, or its tokens name no words."""
        from sweettok_cli.models.registry import family_of_tokens
        from sweettok_cli.tokens.file import looks_like_tokens, read_tokens
        from sweettok_cli.video.source import MEDIA
        from sweettok_cli.words.counts import read_word_lists

        if file.suffix.lower() in MEDIA and not looks_like_tokens(file):
            tokens = self._encode(file)
        else:
            tokens = read_tokens(file)
        meta = tokens.meta
        if family_of_tokens(meta, str(file)).words is None:
            raise SweettokError(f"{file} holds tokens of {meta.model}, whose codebook has no words.")
        return tokens, read_word_lists(self.model_of(tokens), meta.weights_sha256)

    def model_of(self, tokens: Tokens) -> str:
        """Name or folder of the model behind tokens."""
        if self._model is None and self._tokenizer is not None:
            return DEFAULT_MODEL
        return self._model or tokens.meta.model

    def _encode(self, file: Path) -> Tokens:
        from sweettok_cli.pipeline.video import encode_video
        from sweettok_cli.zoo.load import load_tokenizer

        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._model or DEFAULT_MODEL, "auto", "auto")
        with self._output.progress(file.name) as update:
            return encode_video(file, self._tokenizer, on_progress=update)


def _count(tokens: Tokens) -> WordCounts:
    from sweettok_cli.words.counts import WordCounts

    counts = WordCounts(tokens.meta.codebooks)
    counts.add(tokens.arrays)
    return counts


def _write_video(
    tokens: Tokens,
    lists: dict[str, list[str]],
    file: Path,
    source: Path | None,
    video: Path,
    opener: _Opener,
    force: bool,
    output: Output,
) -> None:
    from sweettok_cli.models.registry import read_spec
    from sweettok_cli.storage.model_folder import ModelFolder
    from sweettok_cli.tokens.file import looks_like_tokens
    from sweettok_cli.words.overlay import WordMap, write_overlay
    from sweettok_cli.zoo.local import find_model

    if source is None:
        source = file.with_name(tokens.meta.source) if looks_like_tokens(file) else file
    if not source.is_file():
        raise SweettokError(f"{source} is not there; name what the tokens were made from with --source.")
    region = read_spec(ModelFolder(find_model(opener.model_of(tokens)))).multiple
    with output.progress(video.name) as update:
        write_overlay(WordMap(tokens, lists, region), source, video, force=force, on_progress=update)
    output.say(f"{source} -> {video}: words of regions of {region}x{region} pixels")


def _contrast(given: list[Path], opener: _Opener, top: int, output: Output) -> None:
    """Which words fire for which file; a file that fails is listed and makes the exit code 1."""
    from sweettok_cli.words.counts import telling_words

    counted: list[tuple[Path, WordCounts]] = []
    failed: list[dict[str, str]] = []
    weights: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for file in _gather(given):
        try:
            tokens, lists = opener.open(file)
            counts = _count(tokens)
            counts.ranking(lists, 1)  # refuses words that do not fit the tokens
        # Whatever is wrong with one file of many must not cost the others.
        except Exception as error:
            if debugging():
                raise
            failed.append({"file": str(file), "error": explain(error)})
            output.error(failed[-1]["error"])
            continue
        weights.setdefault(tokens.meta.weights_sha256, str(file))
        if len(weights) > 1:
            first, other = weights.values()
            raise SweettokError(
                f"{first} and {other} were encoded by different models, whose words do not compare; encode "
                "them with one."
            )
        counted.append((file, counts))
    telling = telling_words([counts for _, counts in counted], lists, top)
    data = {
        "files": [
            {
                "file": str(file),
                "words": {part: [vars(word) for word in found] for part, found in each.items()},
            }
            for (file, _), each in zip(counted, telling, strict=True)
        ],
        "failed": failed,
    }
    text = _contrast_table([file for file, _ in counted], telling) if counted else None
    output.result(data, None if output.json else text)
    if failed:
        raise typer.Exit(1)


def _gather(given: list[Path]) -> list[Path]:
    from sweettok_cli.video.source import MEDIA, find_files

    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        taken = find_files(path, {".npz"}) or find_files(path, MEDIA)
        if not taken:
            raise SweettokError(f"{path} holds no token file, video or picture; name another folder.")
        found += taken
    return list(dict.fromkeys(found))


def _contrast_table(files: list[Path], telling: list[dict[str, list[TellingWord]]]) -> str:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    parts = list(telling[0])
    for part in parts:
        table.add_column(part)
    for file, each in zip(files, telling, strict=True):
        cells = [", ".join(f"{word.word} x{word.lift:.1f}" for word in each[part]) for part in parts]
        table.add_row(file.name, *(cell or "-" for cell in cells))
    return as_text(table, "x: how many times the word's share in all files together")


def _table(ranking: dict[str, list[RankedWord]], counts: WordCounts) -> str:
    from rich.columns import Columns
    from rich.table import Table

    tables, uses = [], counts.use()
    for part, ranked in ranking.items():
        use = uses[part]
        table = Table(title=f"{part}: {use.used} of {use.size}", title_justify="left", box=None, min_width=30)
        table.add_column("word")
        table.add_column("count", justify="right")
        table.add_column("share", justify="right")
        for word in ranked:
            table.add_row(word.word, str(word.count), f"{100 * word.share:.1f} %")
        tables.append(table)
    return as_text(Columns(tables, padding=(1, 4)))
