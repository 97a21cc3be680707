"""Where published files are looked for, and that nothing but the published content is taken."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sweettok_cli.metrics import NotMeasured
from sweettok_cli.metrics import network_files as finding
from sweettok_cli.metrics.network_files import PUBLISHED, Published, SearchPath, find

CONTENT = b"weights" * 1000
COMMIT = "a" * 40


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches of torch hub and of the Hub that are empty."""
    from huggingface_hub import constants

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    return tmp_path / "torch" / "hub" / "checkpoints"


def published(url: str = "http://127.0.0.1:9/net.pth", **more: object) -> Published:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Published(("net.pth", "other-net.pth"), digest, len(CONTENT), "MIT", url, **more)


@pytest.fixture
def server() -> Iterator[str]:
    """Gives CONTENT under any path, with what the Hub says of a file, and half of it under /cut."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            body = CONTENT[: len(CONTENT) // 2] if self.path == "/cut" else CONTENT
            self.answer()
            self.wfile.write(body)

        def answer(self) -> None:
            space = self.path.startswith("/spaces/")
            if self.path == "/none" or ("/resolve/" in self.path and space != ("a-space" in self.path)):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.send_header("ETag", f'"{hashlib.sha256(CONTENT).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def test_the_users_folder_comes_first_under_any_known_name(tmp_path: Path, caches: Path) -> None:
    caches.mkdir(parents=True)
    (caches / "net.pth").write_bytes(CONTENT)
    for name in ("other-net.pth", "net.pth"):
        (tmp_path / name).write_bytes(CONTENT)
        assert find(published(), SearchPath(tmp_path, online=False)) == tmp_path / name


def test_then_what_other_programs_fetched_before(tmp_path: Path, caches: Path) -> None:
    caches.mkdir(parents=True)
    (caches / "net.pth").write_bytes(CONTENT)
    assert find(published(), SearchPath(tmp_path, online=False)) == caches / "net.pth"


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(CONTENT + b"!")
    with pytest.raises(NotMeasured, match=r"net\.pth is not the published net\.pth \(its SHA-256 begins"):
        find(published(), SearchPath(tmp_path))


def test_python_packages_that_contain_it_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "heads"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemError")
    (package / "net.pth").write_bytes(CONTENT)
    (tmp_path / "heads-1.0.dist-info").mkdir()
    (tmp_path / "heads-1.0.dist-info" / "METADATA").write_text("Name: heads\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = published(shipped_in=(("no-such-package", "net.pth"), ("heads", "heads/net.pth")))
    assert find(file, SearchPath(online=False)) == package / "net.pth"


def test_what_is_fetched_is_kept_and_said(server: str, caches: Path) -> None:
    said: list[str] = []
    file = published(f"{server}/net.pth")
    assert find(file, SearchPath(announce=said.append)) == caches / "net.pth"
    assert (caches / "net.pth").read_bytes() == CONTENT
    assert said == [f"Fetching net.pth (7000 bytes) from {server}/net.pth."]
    find(file, SearchPath(online=False))


@pytest.mark.parametrize("path", ["/none", "/cut"])
def test_what_cannot_be_fetched_is_not_measured(server: str, caches: Path, path: str) -> None:
    with pytest.raises(NotMeasured, match=rf"{path}.*--features"):
        find(published(server + path), SearchPath())
    assert not list(caches.glob("*"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/net.pth", "http://no-such-host.invalid/net.pth"])
def test_a_network_that_fails_is_not_the_disk(url: str, caches: Path) -> None:
    with pytest.raises(NotMeasured, match=r"^net\.pth cannot be fetched: \S+ cannot be reached \(") as error:
        find(published(url), SearchPath())
    assert "free some space" not in str(error.value) and "--features" in str(error.value)
    assert not list(caches.glob("*"))


def test_a_full_disk_is_not_the_network(server: str, caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(NotMeasured, match=r"\(No space left on device\); free some space"):
        find(published(f"{server}/net.pth"), SearchPath())
    assert not list(caches.glob("*"))


def test_a_changed_file_on_the_network_is_not_kept(server: str, caches: Path) -> None:
    file = Published(("net.pth",), "0" * 64, 7000, "MIT", f"{server}/net.pth")
    with pytest.raises(NotMeasured, match=r"does not give the published net\.pth"):
        find(file, SearchPath())
    assert not list(caches.glob("*"))


def test_offline_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    expected = (
        "net.pth is not on this machine and nothing may be fetched; fetch http://127.0.0.1:9/net.pth "
        "(7000 bytes) and put it into a folder that you name with --features."
    )
    with pytest.raises(NotMeasured) as error:
        find(published(), SearchPath(online=False))
    assert str(error.value) == expected
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NotMeasured) as error:
        find(published(), SearchPath())
    assert str(error.value) == expected


@pytest.mark.parametrize("kind", ["model", "space"])
def test_the_hub_gives_it_at_the_pinned_commit(
    server: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "address", lambda: server)
    file = published(hub=(kind, f"owner/a-{kind}", COMMIT, "folder/net.pth"))
    path = find(file, SearchPath())
    assert path.read_bytes() == CONTENT
    assert path.name == "net.pth"
    assert COMMIT in path.parts
    assert find(file, SearchPath(online=False)) == path


def test_a_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "address", lambda: "http://127.0.0.1:9")
    file = published(hub=("model", "owner/repository", COMMIT, "net.pth"))
    with pytest.raises(NotMeasured, match=r"^net\.pth cannot be fetched: .* cannot be reached .*; fetch"):
        find(file, SearchPath())


def test_every_published_file_is_pinned() -> None:
    for file in PUBLISHED:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.license
        assert file.bytes
        assert file.url.startswith("https://")
        for name in file.names:  # torchvision's convention: the digest's beginning in the name
            stem, _, begin = name.rsplit(".", 1)[0].rpartition("-")
            assert not stem or file.sha256.startswith(begin)
    assert len({file.sha256 for file in PUBLISHED}) == len(PUBLISHED)


def test_the_packages_that_ship_lpips_hold_the_published_weights() -> None:
    from importlib.metadata import PackageNotFoundError, distribution

    found = 0
    for file in PUBLISHED:
        for name, path in file.shipped_in:
            try:
                content = Path(str(distribution(name).locate_file(path))).read_bytes()
            except PackageNotFoundError:
                continue
            found += 1
            assert hashlib.sha256(content).hexdigest() == file.sha256
            assert len(content) == file.bytes
    if not found:
        pytest.skip("neither lpips nor torchmetrics is installed")
