"""What a data set holds: a line for every token file, appended as it is made, and read to go on.

``manifest.jsonl`` (``manifest-2-of-8.jsonl`` of the second of eight parts) is only ever appended to, a whole
line at a time, and of a token file the last line counts. Before a file is made, a line says that it is begun:
what is there and no line tells of, is not the data set's. A line that was cut short is passed over; one that
never was a row's, too, and counted as damage.

Actors of Ray append to files of their own, journals (``manifest-ray-...jsonl``), which are read like any part
until :func:`take_in` has brought what they say into a manifest.

Of each token file no more than where its line lies is held in memory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import RLock

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.files import WriteError
from sweettok_cli.holding import claimed, clear_folder
from sweettok_cli.pipeline.lines import Lines, is_torn
from sweettok_cli.pipeline.row import Head, Row
from sweettok_cli.pipeline.share import NAME, Share

TABLE = f"{NAME}.parquet"
_LONGEST = 1 << 48  # bytes of a file of lines
_JOURNAL = re.compile(rf"{NAME}-ray-[0-9a-f]+-[0-9a-f]+\.jsonl")
_LINES = re.compile(rf"{NAME}(-\d+-of-\d+)?\.jsonl|{_JOURNAL.pattern}")


def is_manifest(name: str) -> bool:
    """Whether a file's name is one that a manifest has."""
    return name == TABLE or _LINES.fullmatch(name) is not None


class Manifest:
    """The manifest of the data set in ``folder``, to which ``share`` appends. Threads may share one.

    Args:
        folder: of the data set; it is made.
        share: whose file is appended to; that of all, by default.
        journal: appended to instead.

    Raises:
        SweettokError: the folder cannot be made, read or written, or holds a ``manifest.jsonl`` of others, or
            what is no file in its place.
    """

    def __init__(self, folder: Path, share: Share | None = None, journal: Path | None = None) -> None:
        self.folder, self.path = folder, journal or (share or Share()).manifest_in(folder)
        self._lock = RLock()
        self._files: list[Lines] = []
        self._rows: dict[int, int] = {}  # by output: where its last line lies, see :func:`_found`
        self._done: dict[int, int] = {}  # likewise of what is done, by key
        self._failed: set[int] = set()  # outputs of what has failed
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweettokError(
                f"The folder {folder} cannot be made ({error.strerror}); choose another with -o."
            ) from error
        try:
            how = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            if self.path.exists() and not self.path.is_file():
                raise _no_file(self.path)
            self._out = os.open(self.path, how, 0o666)
            self._torn = is_torn(self._out)
        except PermissionError as error:
            raise SweettokError(
                f"{error.filename} cannot be opened ({error.strerror}); it is the manifest of the data set: "
                "change its permissions, or write elsewhere."
            ) from error
        except OSError as error:
            raise WriteError(self.path, error) from error
        try:
            self.look()
            for lines in self._files:
                if not lines.ours and lines.damage:
                    raise SweettokError(
                        f"{lines.path} is no manifest of `sweettok encode`, or damaged as a whole; move it, "
                        "or name another folder with -o."
                    )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        for lines in self._files:
            lines.close()
        os.close(self._out)

    @property
    def damage(self) -> str | None:
        """A sentence about lines that are no rows; None where there are none."""
        with self._lock:
            found = {lines.path: number for lines in self._files if (number := lines.damage)}
        if not found:
            return None
        where = ", ".join(f"{path} ({number})" for path, number in found.items())
        return (
            f"The manifest is damaged, and lines that are no rows are not read: {where}; token files that "
            f"only they told of are taken in with {option('skip_existing')}, or made again with "
            f"{option('force')}."
        )

    def look(self) -> None:
        """Take note of the files of other parts, and of their lines.

        Raises:
            SweettokError: one cannot be read.
        """
        with self._lock:
            known = {lines.path for lines in self._files}
            try:
                found = sorted(path for path in self.folder.iterdir() if _LINES.fullmatch(path.name))
                for path in found:
                    if path not in known:
                        if not path.is_file():
                            raise _no_file(path)
                        self._files.append(Lines(path))
            except OSError as error:
                raise SweettokError(
                    f"{error.filename} cannot be read ({error.strerror}); check its permissions."
                ) from error
            self.refresh()

    def refresh(self) -> None:
        """Take note of lines that others have appended."""
        with self._lock:
            for number, lines in enumerate(self._files):
                for place, head in lines.fresh():
                    self._note(number, place, head)

    def _note(self, number: int, place: int, row: Head) -> None:
        name = _short(row.output)
        known = self._rows.get(name)
        if known is not None and known // _LONGEST != number:  # parts were counted otherwise, then
            other = self._found(known)
            if other is not None and other.at > row.at:
                return
        self._rows[name] = number * _LONGEST + place
        if row.status == "done":
            self._done[_short(row.key)] = self._rows[name]
        (self._failed.add if row.status == "failed" else self._failed.discard)(name)

    def row(self, output: str) -> Row | None:
        """What is known of a token file."""
        with self._lock:
            row = self._found(self._rows.get(_short(output)))
            return row if row is not None and row.output == output else None

    def made(self, key: str) -> Row | None:
        """A row of a token file, of any name, that depends on just that; what it says may be over."""
        with self._lock:
            row = self._found(self._done.get(_short(key)))
            if row is None or row.key != key:
                return None
            last = self.row(row.output)
            return row if last is not None and last.status == "done" and last.key == key else None

    def failures(self) -> list[Row]:
        """The rows of what has failed."""
        with self._lock:
            found = (self._found(self._rows[name]) for name in self._failed)
            return [row for row in found if row is not None and row.status == "failed"]

    def file_of(self, output: str) -> Path | None:
        """The file in which the last line of a token file lies."""
        with self._lock:
            where = self._rows.get(_short(output))
            return None if where is None else self._files[where // _LONGEST].path

    def last_in(self, paths: set[Path]) -> list[Row]:
        """Of the token files whose last lines lie in these files, those."""
        with self._lock:
            numbers = {number for number, lines in enumerate(self._files) if lines.path in paths}
            places = (where for where in self._rows.values() if where // _LONGEST in numbers)
            return [row for row in map(self._found, places) if row is not None]

    def _found(self, where: int | None) -> Row | None:
        """The row that lies there; None where somebody has written what is none."""
        return None if where is None else Row.read(self._line(where))

    def _line(self, where: int) -> bytes:
        number, place = divmod(where, _LONGEST)
        return self._files[number].at(place)

    def add(self, row: Row) -> None:
        """Append a row.

        Raises:
            WriteError: the disk is full, or what it is.
        """
        line = replace(row, at=time.time()).line()
        with self._lock:
            try:
                line, self._torn = (b"\n" + line if self._torn else line), False
                if os.write(self._out, line) < len(line):
                    self._torn = True
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise WriteError(self.path, error) from error
            self.refresh()

    def rows(self) -> Iterator[Row]:
        """The last row of each token file that is made or has failed, in the order of their names."""
        with self._lock:
            self.look()
            # Names with where their rows lie; the rows themselves would take some times the memory.
            heads = ((Head.read(self._line(where)), where) for where in self._rows.values())
            for _, where in sorted((head.output, where) for head, where in heads if head is not None):
                row = self._found(where)
                if row is not None and row.status in ("done", "failed"):
                    yield row


def _no_file(path: Path) -> SweettokError:
    kind = "a folder" if path.is_dir() else "no plain file"
    return SweettokError(
        f"{path} is {kind}, and the manifest of the data set would have that name; move it, or name another "
        "folder with -o."
    )


def journal_in(folder: Path, run: str, number: str) -> Path:
    """Where an actor of a run writes; both are hexadecimal."""
    return folder / f"{NAME}-ray-{run}-{number}.jsonl"


def journals(folder: Path, run: str = "") -> list[Path]:
    """Those in a folder, of one run or of all."""
    begin = f"{NAME}-ray-{run}"
    return sorted(
        path for path in folder.iterdir() if path.name.startswith(begin) and _JOURNAL.fullmatch(path.name)
    )


def take_in(manifest: Manifest, run: str = "") -> bool:
    """Append what journals say that nobody writes any more, remove them, and what was left half-written.

    Args:
        manifest: to which it is appended.
        run: whose journals; those of all runs by default.

    Returns:
        Whether none is left.
    """
    found = journals(manifest.folder, run)
    if not found:
        return True
    manifest.look()
    with ExitStack() as stack:
        ours = {path for path in found if stack.enter_context(claimed(path))}
        for row in manifest.last_in(ours):
            manifest.add(row)
            if row.status == "begun":
                clear_folder((manifest.folder / row.output).parent)
        for path in ours:
            path.unlink(missing_ok=True)
    return len(ours) == len(found)


def _short(text: str) -> int:
    """A number for a name: of millions, no two are the same."""
    digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
