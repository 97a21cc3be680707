"""Any file with the words it names, videos and pictures through the model; which words tell files apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import middle_frames, open_source
from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.registry import family_of_tokens
from sweettok_cli.packing.token_file import ENDINGS, each_once, looks_like_tokens
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens.arrays import parts_of_speech
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.images import is_picture
from sweettok_cli.video.source import MEDIA, find_files
from sweettok_cli.words.counts import WordCounts, read_word_lists
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL
from sweettok_cli.zoo.token_files import read_tokens

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.words.overlay import WordMap


@dataclass(frozen=True)
class FileWords:
    """The words that one file names.

    Attributes:
        file: the token file, video or picture.
        tokens: that it holds or became.
        model: name or folder of the model whose words they are.
        source: what the tokens were made from, if it still lies where it did.
        counts: of the words.
    """

    file: Path
    tokens: Tokens
    model: str
    source: Path
    counts: WordCounts

    def map(self) -> WordMap:
        """Where in the frame they are named, in regions as small as the model allows."""
        from sweettok_cli.models.registry import read_spec
        from sweettok_cli.storage.model_folder import ModelFolder
        from sweettok_cli.words.overlay import WordMap
        from sweettok_cli.zoo.local import find_model

        return WordMap(self.tokens, self.counts, read_spec(ModelFolder(find_model(self.model))).multiple)


class WordReader:
    """Reads files with their words; the model is loaded when a video needs it, and once.

    Args:
        model: name or folder of the model whose words to use; by default the one in a token file, and the
            default model for videos and pictures.
        watch: opened around the encoding of a file, given its name.
        keep_going: as for :func:`~sweettok_cli.pipeline.encode.encode_video`, like ``strict`` and ``budget``.
        frames: of a video, so many in its middle; by default all.
    """

    def __init__(
        self,
        model: str | None,
        watch: Callable[[str], AbstractContextManager[OnProgress]],
        keep_going: bool = False,
        strict: bool = False,
        budget: Budget = USUAL,
        frames: int | None = None,
    ) -> None:
        self._model, self._watch = model, watch
        self._keep_going, self._strict = keep_going, strict
        self._budget, self._frames = budget, frames

    def read(self, file: Path) -> FileWords:
        """The words of a token file, a video or a picture.

        Raises:
            SweettokError: it cannot be read, or its tokens name no words.
        """
        stored = is_stored(file)
        tokens = read_tokens(file, model=self._model) if stored else self._encode(file)
        meta = tokens.meta
        family_of_tokens(meta, str(file))
        if not meta.codebooks or not all(map(parts_of_speech, meta.codebooks)):
            raise SweettokError(f"{file} holds tokens of {meta.model}, whose codebook has no words.")
        from sweettok_cli.zoo.load import model_of_tokens

        model = self._model or (model_of_tokens(meta, file) if stored else DEFAULT_MODEL)
        counts = WordCounts(meta.codebooks, read_word_lists(model, meta.weights_sha256))
        counts.add(tokens.arrays)
        source = Path(meta.source).name  # of which the file's folder is ours to look into, and no other
        beside = file.with_name(source) if stored and source else file
        return FileWords(file, tokens, model, beside, counts)

    def _encode(self, file: Path) -> Tokens:
        from sweettok_cli.pipeline.encode import encode_video

        tokenizer = self._tokenizer
        with self._watch(file.name) as on_progress:
            if self._frames is not None and not is_picture(file):
                return self._encode_middle(file, tokenizer, self._frames)
            return encode_video(
                file,
                tokenizer,
                budget=self._budget,
                keep_going=self._keep_going,
                strict=self._strict,
                on_progress=on_progress,
            )

    def _encode_middle(self, file: Path, tokenizer: Tokenizer, count: int) -> Tokens:
        source = open_source(Item(file.name, file, keep_going=self._keep_going, strict=self._strict))
        frames = np.stack(list(middle_frames(source, count)))
        return tokenizer.encode(frames, rate=source.info.rate, budget=self._budget)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from sweettok_cli.zoo.load import load

        return load(self._model or DEFAULT_MODEL)


def is_stored(file: Path) -> bool:
    """Whether a file is read as tokens, and not encoded."""
    return file.suffix.lower() not in MEDIA or looks_like_tokens(file)


def find_readable(given: Iterable[Path]) -> list[Path]:
    """Files as given, and of each folder its token files, or its videos and pictures where it has none.

    Raises:
        SweettokError: a folder holds neither.
    """
    found: list[Path] = []
    for path in given:
        taken = [path]
        if path.is_dir():
            taken = each_once(find_files(path, set(ENDINGS))) or find_files(path, MEDIA)
        if not taken:
            raise SweettokError(f"{path} holds no token file, video or picture; name another folder.")
        found += taken
    return list(dict.fromkeys(found))


def check_one_model(first: Path, weights_sha256: str, found: FileWords) -> None:
    """Raise :class:`SweettokError` unless a file was encoded with the weights of the ``first``."""
    if found.tokens.meta.weights_sha256 != weights_sha256:
        raise SweettokError(
            f"{first} and {found.file} were encoded by different models, whose words do not compare; encode "
            "them with one."
        )


def of_one_model(files: Iterable[FileWords]) -> Iterator[FileWords]:
    """The files, one by one; their words compare.

    Raises:
        SweettokError: one was encoded by another model than the first.
    """
    first = None
    for found in files:
        first = first or (found.file, found.tokens.meta.weights_sha256)
        check_one_model(*first, found)
        yield found


@dataclass(frozen=True)
class TellingWord:
    """A word, how often a file names it, and how many times its share is that in all files together."""

    word: str
    count: int
    lift: float


def contrast(files: Iterable[FileWords], top: int) -> list[tuple[Path, dict[str, list[TellingWord]]]]:
    """The words that tell each file from all together, the most telling first, by part of speech.

    A word tells by ``count * log(share in the file / share in all files)``, its part in the divergence
    (Kullback and Leibler 1951) of the file's words from all words. Only words with a positive part are given.

    Args:
        files: gone through once; of each only the counts are kept.
        top: at most so many words of each part of speech.

    Raises:
        SweettokError: files were encoded by different models.
    """
    counted: list[tuple[Path, WordCounts]] = []
    together: dict[str, np.ndarray] = {}
    for file in of_one_model(files):
        counted.append((file.file, file.counts))
        for part, counts in file.counts.counts.items():
            together[part] = counts + together.get(part, 0)
    return [
        (
            path,
            {
                # Files in the fixed layout have no detail.
                part: telling_words(each.counts[part], of_all, each.words[part], top)
                if part in each.counts
                else []
                for part, of_all in together.items()
            },
        )
        for path, each in counted
    ]


def telling_words(
    counts: np.ndarray, together: np.ndarray, words: Sequence[str], top: int
) -> list[TellingWord]:
    """As :func:`contrast`, of one part of speech: how often a file names each word, and how often all do."""
    found = np.flatnonzero(counts)
    lift = counts[found] / counts.sum() / (together[found] / together.sum())
    weight = counts[found] * np.log(lift)
    return [
        TellingWord(words[found[place]], int(counts[found[place]]), float(lift[place]))
        for place in np.argsort(-weight, kind="stable")[:top]
        if weight[place] > 0
    ]
