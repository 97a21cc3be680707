"""Files at an address: the same frames, for the bytes that they take, and a sentence for what goes wrong."""

from __future__ import annotations

import pickle
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from sweettok_cli.errors import SweettokError, WrongUsage
from sweettok_cli.video import VideoReader, VideoWriter, probe, remote, write_image
from sweettok_cli.video.inputs import modified, read_input
from sweettok_cli.video.pipe import Pipe
from sweettok_cli.video.remote import RemoteFile, is_url
from sweettok_cli.video.selection import Selection

from . import torture

SHARP = {"g": "25", "crf": "1"}


@dataclass
class Server:
    """Files by their paths over HTTP, in parts where asked for, and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    sent: int = 0  # bytes of files
    ranges: bool | None = True  # whether it sends parts; None: it does not, and does not say so
    refuse: int | None = None  # the status of every answer
    cut_after: int | None = None  # bytes in all, after which connections end

    def __enter__(self) -> Server:
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                data = ours.files.get(self.path.partition("?")[0])
                if ours.refuse or data is None:
                    self.send_response(ours.refuse or 404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
                if wanted and ours.ranges:
                    start, end = int(wanted[1]), min(int(wanted[2]) + 1, len(data))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
                    data = data[start:end]
                else:
                    self.send_response(200)
                    if ours.ranges is not None:
                        self.send_header("Accept-Ranges", "bytes" if ours.ranges else "none")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if body:
                    if ours.cut_after is not None and ours.sent + len(data) > ours.cut_after:
                        self.wfile.write(data[: len(data) // 2])
                        self.close_connection = True
                        return
                    ours.sent += len(data)
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(remote, "PAUSES", (0.01, 0.01))
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """16 seconds of noise, a megabyte, with a key frame every second."""
    path = tmp_path_factory.mktemp("remote") / "long.mp4"
    rng = np.random.default_rng(3)
    with VideoWriter(path, 80, 64, Fraction(25), crf=16, key_frames=25) as writer:
        for _ in range(400):
            writer.write(rng.integers(0, 255, (64, 80, 3), dtype=np.uint8))
    with VideoReader(path) as reader:
        return path, [frame.rgb for frame in reader]


def test_a_part_takes_the_bytes_of_the_part(
    server: Server, video: tuple[Path, list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, frames = video
    monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 14)
    server.files["/long.mp4"] = data = path.read_bytes()
    part = Selection(start=8, end=9)
    with VideoReader(RemoteFile(f"{server.url}/long.mp4?key=secret"), selection=part, strict=True) as reader:
        found = [frame.rgb for frame in reader]
    assert np.array_equal(found, frames[200:225])
    assert len(data) / 16 < server.sent < len(data) / 3
    assert reader.info.path.name == "long.mp4" and "secret" not in str(reader.info.path)


def test_all_of_a_file_is_fetched_once(server: Server, video: tuple[Path, list[np.ndarray]]) -> None:
    path, frames = video
    server.files["/long.mp4"] = data = path.read_bytes()
    file = RemoteFile(f"{server.url}/long.mp4")
    with VideoReader(file, strict=True) as reader:
        assert np.array_equal([frame.rgb for frame in reader], frames)
    assert server.sent <= len(data) + 2 * remote.BLOCK_BYTES
    assert (file.name, file.suffix, file.size) == ("long.mp4", ".mp4", len(data))
    file.close()
    assert probe(file).frames == 400  # opened again


@pytest.mark.parametrize("kind", ["memory", "file"])
@pytest.mark.parametrize(
    "name", ["plain.mp4", "film.mkv", "mpeg4.avi", "animated.webp", "raw.h264", "one.gif"]
)
def test_every_file_system_gives_the_same(tmp_path: Path, kind: str, name: str) -> None:
    path = torture.build(tmp_path, name)
    url = f"file://{path}"
    if kind == "memory":
        url = f"memory://clips/{name}"
        with fsspec.open(url, "wb") as stream:
            stream.write(path.read_bytes())
    with VideoReader(path) as here, VideoReader(RemoteFile(url), strict=True) as there:
        assert np.array_equal([f.rgb for f in here], [f.rgb for f in there])
    assert (here.info.rate, here.info.frames) == (there.info.rate, there.info.frames)
    assert abs((modified(RemoteFile(url)) or 0) - path.stat().st_mtime) < 3600 * 24


def test_a_picture(tmp_path: Path, server: Server) -> None:
    write_image(tmp_path / "a.png", torture.picture(4))
    server.files["/a.png"] = (tmp_path / "a.png").read_bytes()
    with VideoReader(RemoteFile(f"{server.url}/a.png")) as reader:
        (frame,) = reader
    assert reader.info.is_image and np.array_equal(frame.rgb, torture.picture(4))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://host/my%20clip.mp4?sign=1%2F2", "my clip.mp4"),
        ("http://host/a/%C3%BCber.MP4", "über.MP4"),
        ("https://host/a%2Bb+c.mp4", "a+b+c.mp4"),
        ("https://host/100%.mp4", "100%.mp4"),
        ("https://host/100%25.mp4", "100%.mp4"),
        # What would be no name, or that of something else, stays as it is.
        ("https://host/..%2F..%2Fetc.mp4", "..%2F..%2Fetc.mp4"),
        ("https://host/%2e%2e", "%2e%2e"),
        ("https://host/%2E", "%2E"),
        ("https://host/a%5Cb.mp4", "a%5Cb.mp4"),
        ("https://host/a%00b.mp4", "a%00b.mp4"),
        ("https://host/a%0Ab.mp4", "a%0Ab.mp4"),
        ("https://host/a%FF.mp4", "a%FF.mp4"),
        ("s3://bucket/my%20clip.mp4", "my%20clip.mp4"),  # it is called so there
    ],
)
def test_names_in_web_addresses_are_spelt_out(address: str, name: str) -> None:
    assert RemoteFile(address).name == name


def test_folders_in_web_addresses_are_spelt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Listed:
        def find(self, path: str) -> list[str]:
            return [f"{path}my%20films/a%20b.mp4", f"{path}%2e%2e/c.mp4"]

        def unstrip_protocol(self, path: str) -> str:
            return path

    folder = RemoteFile("https://host/all/")
    monkeypatch.setitem(vars(folder), "_place", (Listed(), folder.url))
    found = sorted((file.name, str(below)) for file, below in folder.find({".mp4"}))
    assert found == [("a b.mp4", "my films"), ("c.mp4", "%2e%2e")]


def test_a_folder_is_listed() -> None:
    for name in ("a.mp4", "sub/b.MKV", "sub/notes.txt", ".hidden/c.mp4"):
        with fsspec.open(f"memory://listed/{name}", "wb") as stream:
            stream.write(b"video")
    folder = RemoteFile("memory://listed")
    assert folder.is_dir() and not RemoteFile("memory://listed/a.mp4").is_dir()
    found = [(file.name, str(below)) for file, below in folder.find({".mp4", ".mkv"})]
    assert found == [("a.mp4", "."), ("b.MKV", "sub")]
    assert all(file.check() is None for file, _ in folder.find({".mp4", ".mkv"}))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_what_is_not_there_is_one_sentence(server: Server, tmp_path: Path) -> None:
    for url, why in (
        (f"{server.url}/none.mp4", "does not exist; check the address"),
        ("memory://none.mp4", "does not exist"),
        (f"file://{tmp_path}/none.mp4", "does not exist"),
        (f"http://127.0.0.1:{free_port()}/a.mp4", "cannot be reached"),
        ("nothing://a.mp4", "for which there is no file system"),
    ):
        with pytest.raises(SweettokError, match=why) as failed:
            VideoReader(RemoteFile(url))
        assert str(failed.value).startswith(url) and "\n" not in str(failed.value)
    server.refuse = 403
    with pytest.raises(SweettokError, match=r"a\.mp4 may not be read; check its name and your credentials"):
        VideoReader(RemoteFile(f"{server.url}/a.mp4"))
    server.refuse, server.files["/empty.mp4"] = None, b""
    with pytest.raises(SweettokError, match=r"empty\.mp4"):
        VideoReader(RemoteFile(f"{server.url}/empty.mp4"))


def test_a_server_that_sends_no_parts_is_piped(server: Server, video: tuple[Path, Any]) -> None:
    server.files["/long.mp4"], server.ranges = video[0].read_bytes(), False
    with pytest.raises(SweettokError, match=r"comes in one piece only, .* curl ADDRESS \| sweettok encode -"):
        VideoReader(RemoteFile(f"{server.url}/long.mp4"))


def test_a_connection_that_ends_is_tried_again_and_then_told(
    server: Server, video: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 16)
    server.files["/long.mp4"] = data = video[0].read_bytes()
    with VideoReader(RemoteFile(f"{server.url}/long.mp4?key=secret")) as reader:
        frames = iter(reader)
        next(frames)
        server.cut_after = len(data) // 2
        with pytest.raises(SweettokError, match=r"long\.mp4 cannot be read any further \(.*\); check"):
            list(frames)
        server.cut_after = None
        assert len(list(reader)) == 400


@pytest.mark.parametrize("name", ["fsspec", "aiohttp", "s3fs"])
def test_what_is_not_installed_is_named(name: str) -> None:
    url = "s3://bucket/a.mp4" if name == "s3fs" else "https://127.0.0.1/a.mp4"
    program = f"import sys; sys.modules[{name!r}] = None; from sweettok_cli.video.remote import RemoteFile; "
    run = [sys.executable, "-c", f"{program}RemoteFile({url!r}).check()"]
    said = subprocess.run(run, capture_output=True, text=True, timeout=300).stderr
    how = "pip install s3fs" if name == "s3fs" else "pip install 'sweettok[remote]'"
    assert f"{url} is read by {name}, which is not installed here; {how}." in said


def test_what_is_an_address() -> None:
    for text in (
        "https://a/b.mp4",
        "s3://bucket/key",
        "hf://datasets/a/b/c.mp4",
        "memory://a",
        "file:///a.mp4",
    ):
        assert is_url(text) and read_input(text) == RemoteFile(text)
    for text in ("a.mp4", "C://a.mp4", "/a//b.mp4", "a:b.mp4", "./-"):
        assert not is_url(text) and read_input(text) == Path(text)
    for text in ("s3://", "https://", "https:///a.mp4", "s3:///"):
        with pytest.raises(WrongUsage, match=f"{text} names no (host|file); give an address"):
            read_input(text)
    assert isinstance(read_input("-"), Pipe)
    file = RemoteFile("memory://a.mp4")
    assert pickle.loads(pickle.dumps(file)) == file  # for other processes
    assert str(RemoteFile("https://me:word@host/a%20b.mp4?sig=1#2")) == "https://host/a%20b.mp4"


def test_a_large_file_in_one_piece_is_one_sentence(
    server: Server, video: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    data = video[0].read_bytes()
    kinds = data.index(b"ftyp") - 4, int.from_bytes(data[:4], "big")
    free = (3 << 20).to_bytes(4, "big") + b"free" + bytes((3 << 20) - 8)
    server.files["/late.mp4"] = data[: kinds[1]] + free + data[kinds[1] :]  # its index lies behind that
    server.ranges = None
    with pytest.raises(SweettokError, match="comes in one piece only"):
        list(VideoReader(RemoteFile(f"{server.url}/late.mp4")))
    assert "PyAV" not in capfd.readouterr().err  # which tells of errors that it drops
