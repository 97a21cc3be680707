"""The words behind a model's indices, read without the model."""

from __future__ import annotations

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.code_counts import PARTS_OF_SPEECH
from sweettok_cli.weights_store.folder import read_header
from sweettok_cli.weights_store.local import find_model
from sweettok_cli.weights_store.sweettok import read_words


def read_word_lists(model: str, weights_sha256: str) -> dict[str, list[str]]:
    """The words of a named model or model folder, by part of speech, each list in the order of its indices.

    Only the small JSON files beside the weights are read.

    Args:
        model: name or folder.
        weights_sha256: of the weights that made the tokens; those of another model mean other words.

    Raises:
        SweettokError: there is no such model, its weights are others, or its words are missing or damaged.
    """
    folder = find_model(model)
    found = read_header(folder).weights_sha256
    if found != weights_sha256:
        raise SweettokError(
            f"The tokens were made with weights {weights_sha256[:12]}, but {model} has {found[:12]}; pass "
            "the model that made them with --model, or encode the source again."
        )
    words = read_words(folder)
    return {
        part: [str(word) for word in words[half][role]]
        for half, parts in PARTS_OF_SPEECH.items()
        for part, role in zip(parts, ("modifiers", "heads"), strict=True)
    }
