"""One file of a manifest's lines, read as it grows."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from sweettok_cli.files import open_regular
from sweettok_cli.pipeline.row import Head

_BEGIN = b'{"source": "'  # of every line


class Lines:
    """One file of lines, which stays open.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_to = 0
        self.strange = self.ours = 0  # lines; those that were cut short are neither
        self._stream = open_regular(path)

    def fresh(self) -> Iterator[tuple[int, Head]]:
        """Heads of the rows that came since the last call, with where those begin."""
        try:
            if os.fstat(self._stream.fileno()).st_size <= self.read_to:
                return
        except OSError as error:
            if error.errno == errno.ESTALE:  # a journal that another machine has taken in
                return
            raise
        self._stream.seek(self.read_to)
        for line in self._stream:
            if not line.endswith(b"\n"):
                return  # perhaps another program is at it
            place, self.read_to = self.read_to, self.read_to + len(line)
            head = Head.read(line)
            if head is None:
                self.strange += not _is_cut(line)
            else:
                self.ours += 1
                yield place, head

    @property
    def damage(self) -> int:
        """How many lines are no rows, one that is not ended included."""
        last = self.at(self.read_to)
        return self.strange + (Head.read(last) is None and not _is_cut(last))

    def at(self, place: int) -> bytes:
        """The line that begins there."""
        try:
            self._stream.seek(place)
            return self._stream.readline()
        except OSError as error:
            if error.errno == errno.ESTALE:
                return b""
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()


def _is_cut(line: bytes) -> bool:
    """Whether what is no row is nothing, or the beginning of one: what killed programs leave."""
    text = line.strip()
    if not text:
        return True
    if not (text.startswith(_BEGIN) or _BEGIN.startswith(text)) or not text.decode("latin-1").isprintable():
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def is_torn(handle: int) -> bool:
    """Whether the last line of a file was cut short."""
    if not os.fstat(handle).st_size:
        return False
    os.lseek(handle, -1, os.SEEK_END)
    return os.read(handle, 1) != b"\n"
