"""Several files read with their words, where one that fails must not cost the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sweettok_cli.cli.output import FAILED, Output, debugging, explain

if TYPE_CHECKING:
    from sweettok_cli.words.reader import FileWords, WordReader


class Reading:
    """Reads one file after the other; one that fails is listed and makes the exit code 1."""

    def __init__(self, reader: WordReader, output: Output) -> None:
        self._reader, self._output = reader, output
        self.failed: list[dict[str, str]] = []

    def read(self, files: Iterable[Path]) -> Iterator[FileWords]:
        """Those that can be read."""
        for file in files:
            try:
                found = self._reader.read(file)
            # Whatever is wrong with one file of many must not cost the others.
            except Exception as error:
                if debugging():
                    raise
                self.failed.append({"file": str(file), "error": explain(error)})
                self._output.error(self.failed[-1]["error"])
            else:
                yield found

    def show(self, data: dict[str, Any], text: str | None) -> None:
        """The result of those, and the others."""
        self._output.result({**data, "failed": self.failed}, text)
        if self.failed:
            raise typer.Exit(FAILED)
