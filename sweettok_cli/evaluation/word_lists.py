"""The words behind a model's indices, read without the model."""

from __future__ import annotations

import json
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.word_counts import PARTS_OF_SPEECH
from sweettok_cli.weights_store.local import find_model

WORDS_FILE = "words.json"


def read_word_lists(model: str) -> dict[str, list[str]]:
    """The words of a named model or model folder, by part of speech, each list in the order of its indices.

    Only the small ``words.json`` beside the weights is read: ``{"spatial": {"modifiers": [...], "heads":
    [...]}, "temporal": {...}}``.

    Raises:
        SweettokError: there is no such model, it has no words, or its word file is damaged.
    """
    path = find_model(model) / WORDS_FILE
    return {
        part: words
        for half, parts in PARTS_OF_SPEECH.items()
        for part, words in zip(parts, _lists(path, half), strict=True)
    }


def _lists(path: Path, half: str) -> tuple[list[str], list[str]]:
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))[half]
        return [str(word) for word in lists["modifiers"]], [str(word) for word in lists["heads"]]
    except FileNotFoundError as error:
        raise SweettokError(f"The model in {path.parent} names no words: it has no {path.name}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweettokError(f"{path} is damaged; install the model again.") from error
