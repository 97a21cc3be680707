"""A language model that chooses among classes: one of ``transformers`` in this process, or a server's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sweettok_cli.recognition.answer import Answer


class LanguageModel(Protocol):
    """Anything that goes on with a prompt by the name of a class."""

    name: str

    def answer(self, prompt: str, labels: Sequence[str]) -> Answer:
        """One of ``labels``, whatever the prompt.

        Raises:
            SweettokError: the model cannot be asked.
        """
        ...


def open_language_model(name: str, served: str | None = None) -> LanguageModel:
    """A model by its name on the Hub or its folder, or the server at a URL.

    Args:
        name: what ``--llm`` gives.
        served: which model of a server is asked, where it has several.

    Raises:
        SweettokError: it cannot be loaded, or the server does not answer.
    """
    if name.startswith(("http://", "https://")):
        from sweettok_cli.recognition.server import ServedModel

        return ServedModel(name, served)
    from sweettok_cli.recognition.local_model import LocalModel

    return LocalModel(name)
