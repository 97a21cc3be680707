"""Files that ``fsspec`` reads over a network, block by block: ``https://``, ``s3://``, ``hf://``, ..."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from sweettok_cli.errors import SweettokError, WrongUsage

#: Bytes that are fetched at once, and how many such blocks of a file are held.
BLOCK_BYTES, BLOCKS = 1 << 20, 32
#: Seconds before a block that could not be fetched is asked for again; after the last, that is an error.
PAUSES = (0.5, 2.0)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_WEB = ("http", "https")
# What file systems need that fsspec does not know how to say; of all others it says itself what to install.
_EXTRA = "pip install 'sweettok[remote]'"
_NEEDS = {"s3": ("s3fs", "pip install s3fs"), "http": ("aiohttp", _EXTRA), "https": ("aiohttp", _EXTRA)}


def is_url(text: str) -> bool:
    """Whether a text is an address, such as ``https://host/clip.mp4``, and no path of a file."""
    return _URL.match(text) is not None


def check_url(text: str) -> None:
    """Raise :class:`WrongUsage` for an address that names nothing, or a web address without a host."""
    kind, _, rest = text.partition("://")
    lacks = "host" if kind.lower() in _WEB and not _host(text) else "" if rest.strip("/") else "file"
    if lacks:
        shown = re.sub(r"//[^/]*@", "//", text)  # without what may be secret
        raise WrongUsage(f"{shown} names no {lacks}; give an address such as https://host/clip.mp4.")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # brackets that hold no number of a host
        return None


def _unquoted(name: str) -> str:
    """A part of a web address without ``%20`` and the like; as it is where that would be no file's name."""
    try:
        found = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    safe = found.strip(".") and found.isprintable() and not re.search(r'[/\\:*?"<>|]', found)
    return found if safe else name


class RemoteFile:
    """A file, or a folder of them, at an address; of which the blocks that are asked for are fetched.

    Two of one address are equal. :meth:`open` may be called any number of times: what was fetched is shared.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteFile) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[type[RemoteFile], tuple[str]]:
        return RemoteFile, (self.url,)  # another process has connections of its own

    def __str__(self) -> str:
        """The address, without what may be secret in it: a user's name, a password, a signature."""
        kind, _, rest = self.url.partition("://")
        if kind.lower() in _WEB:
            parts = urlsplit(self.url)
            rest = f"{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"{kind}://{rest}"

    @property
    def name(self) -> str:
        """The last part of the address, which is the file's name; the host's where there is no other."""
        name = PurePosixPath(str(self).partition("://")[2]).name
        return _unquoted(name) if self._is_web else name

    @property
    def _is_web(self) -> bool:
        return self.url.partition("://")[0].lower() in _WEB

    @property
    def suffix(self) -> str:
        """The ending of :attr:`name`, with its dot."""
        return PurePosixPath(self.name).suffix

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the path in it."""
        kind = self.url.partition("://")[0].lower()
        try:
            from fsspec.core import url_to_fs

            return url_to_fs(self.url)
        except ImportError as error:
            if (error.name or "").startswith("fsspec"):
                needs, how = "fsspec", _EXTRA
            else:
                told = f"{str(error).rstrip('.')}, or fetch the file"
                needs, how = _NEEDS.get(kind, ("fsspec", told))
            raise SweettokError(f"{self} is read by {needs}, which is not installed here; {how}.") from error
        except ValueError as error:
            raise SweettokError(
                f"{self} begins with {kind}://, for which there is no file system; fetch it."
            ) from error
        except Exception as error:  # of any library, with its own kinds of errors
            raise self._failed(error) from error

    @cached_property
    def _file(self) -> Any:
        """The one open file behind all that :meth:`open` gives."""
        system, path = self._place
        try:
            cache = {"cache_type": "blockcache", "cache_options": {"maxblocks": BLOCKS}}
            file = system.open(path, "rb", block_size=BLOCK_BYTES, **cache)
        except Exception as error:
            raise self._failed(error) from error
        if getattr(file, "size", 0) is None or not file.seekable() or type(file).__name__ == "HTTPStreamFile":
            file.close()
            raise self._in_one_piece()
        return file

    @cached_property
    def size(self) -> int:
        """Bytes of the file."""
        with self._lock:
            place = self._file.seek(0, 2)
            return int(self._file.tell() if place is None else place)

    def check(self) -> None:
        """Raise :class:`SweettokError` unless the file is there and has something in it."""
        if not self.size:
            raise SweettokError(f"{self} is empty; the upload that made it failed, do it again.")

    def is_dir(self) -> bool:
        """Whether this is a folder: by a slash at its end; of file systems that list files, by asking."""
        if self.url.endswith("/") or self._is_web:
            return self.url.endswith("/")
        system, path = self._place
        try:
            return bool(system.isdir(path))
        except Exception as error:
            raise self._failed(error) from error

    def find(self, endings: Collection[str]) -> list[tuple[RemoteFile, Path]]:
        """Files in and below a folder that end so, hidden ones left out, with their folders below it, sorted.

        Raises:
            SweettokError: it cannot be listed.
        """
        system, path = self._place
        try:
            found = sorted(system.find(path))
        except Exception as error:
            raise self._failed(error) from error
        root, files = path.rstrip("/"), []
        for each in found:
            below = PurePosixPath(str(each).removeprefix(root).lstrip("/"))
            if below.suffix.lower() in endings and not any(part.startswith(".") for part in below.parts):
                parts = map(_unquoted, below.parent.parts) if self._is_web else below.parent.parts
                files.append((RemoteFile(system.unstrip_protocol(each)), Path(*parts)))
        return files

    @property
    def modified(self) -> float | None:
        """When the file was changed, in seconds since 1970, where the file system says."""
        system, path = self._place
        with suppress(Exception):  # most do not say
            return float(system.modified(path).timestamp())
        return None

    def open(self, mode: str = "rb") -> IO[bytes]:
        """A seekable stream of its bytes, at its beginning."""
        assert mode == "rb"
        self.size  # noqa: B018  what is wrong with the file is told now
        return io.BufferedReader(_View(self))

    def close(self) -> None:
        """Let go of the connection and of what was fetched; reading again fetches again."""
        with self._lock:
            if (file := self.__dict__.pop("_file", None)) is not None:
                file.close()

    def read(self, start: int, size: int) -> bytes:
        """So many bytes from ``start`` on.

        Raises:
            SweettokError: they cannot be fetched, which was tried several times.
        """
        size = max(0, min(size, self.size - start))
        for pause in (*PAUSES, None):
            try:
                with self._lock:
                    self._file.seek(start)
                    data = bytes(self._file.read(size))
                if len(data) == size:
                    return data
                why: Exception = EOFError(f"{len(data)} of {size} bytes came")
            except SweettokError:
                raise
            except Exception as error:  # of any library
                if "range requests" in str(error):
                    raise self._in_one_piece() from error
                why = error
            if pause is None:
                break
            time.sleep(pause)
        raise SweettokError(
            f"{self} cannot be read any further ({_reason(why)}); check the network and do it again."
        ) from why

    def _in_one_piece(self) -> SweettokError:
        return SweettokError(
            f"{self} comes in one piece only, for its server does not send parts of files; fetch it, or pipe "
            "it: curl ADDRESS | sweettok encode -"
        )

    def _failed(self, error: Exception) -> SweettokError:
        """The sentence for what a file system says when a file is opened or a folder listed."""
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None and cause not in chain:
            chain.append(cause)
        status = next(filter(None, map(_status, chain)), None)
        refused = any(isinstance(each, PermissionError) for each in chain) or status in (401, 403)
        told = next((each for each in chain if not isinstance(each, FileNotFoundError)), None)
        if refused:
            return SweettokError(f"{self} may not be read; check its name and your credentials for it.")
        if status in (404, 410) or told is None:
            return SweettokError(f"{self} does not exist; check the address.")
        return SweettokError(
            f"{self} cannot be reached ({_reason(told)}); check the address and the network."
        )


class _View(io.RawIOBase):
    """The bytes of a remote file from a place of its own."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._at = file, 0
        self._broken = False

    @property
    def name(self) -> str:
        return str(self._file)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        origin = {0: 0, 1: self._at, 2: self._file.size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._broken:  # FFmpeg asks again before the error is raised that it was told
            return 0
        try:
            data = self._file.read(self._at, len(buffer))
        except SweettokError:
            self._broken = True
            raise
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _status(error: BaseException) -> int | None:
    """Of HTTP, as aiohttp and httpx keep it."""
    found = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return found if isinstance(found, int) else None


def _reason(error: BaseException) -> str:
    """The first line of what a library says, without an address in it, which may hold secrets."""
    first = (str(error).strip().splitlines() or [""])[0]
    first = re.sub(r"\S+://\S+", "its address", first).rstrip(".")
    return first[:200] or type(error).__name__
