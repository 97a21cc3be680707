"""A Hub on this machine: the part of its protocol that pulling and pushing models needs.

Small files come straight from ``/resolve/``, large ones (see ``LARGE``) by a redirect to another host, as the
Hub's own do: the endpoint is 127.0.0.1, the other host is the same server under the name localhost.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from base64 import b64decode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

LARGE = (".ckpt", ".safetensors")
TOKEN = "hf_right"


@dataclass
class Repository:
    """Branches and commits of one repository."""

    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main", oid: str = "") -> str:
        tree = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        seed = f"{branch}{len(self.commits)}{sorted((name, sha256(data)) for name, data in tree.items())}"
        oid = oid or hashlib.sha1(seed.encode()).hexdigest()
        self.commits[oid], self.branches[branch] = tree, oid
        return oid


@dataclass
class HubServer:
    """Repositories by name, and how the network misbehaves."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, authorization
    out_of_order: bool = False
    cuts: list[int] = field(default_factory=list)  # the next large answers end after so many bytes
    stall_after: int | None = None  # the next large answer pauses after so many bytes, until `go_on`
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    lies: bool = False  # large files arrive with one byte changed

    def __enter__(self) -> HubServer:
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.other_host = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, files: dict[str, bytes], *, private: bool = False, oid: str = "") -> str:
        """Commit the files to a repository; ``oid`` is the commit, where it must be a known one."""
        repository = self.repositories.setdefault(name, Repository(private))
        return repository.commit(files, oid=oid)

    def sent(self, method: str, part: str) -> int:
        return sum(m == method and part in path for m, path, _ in self.requests)


def take_the_place(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``huggingface_hub`` take this for the Hub, in this process too, where it is imported already."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._get(body=False)

    def do_GET(self) -> None:
        self._get(body=True)

    def _get(self, body: bool) -> None:
        path = self._begin()
        if blob := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path):
            name, oid, file = blob.groups()
            self._large(self.server_hub.repositories[name].commits[oid][file])
            return
        asked = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if asked is None or self.server_hub.out_of_order:
            self._answer(503 if self.server_hub.out_of_order else 404)
            return
        name, revision, file = asked[1], unquote(asked[2]), unquote(asked[3])
        repository = self.server_hub.repositories.get(name)
        if repository is None or (repository.private and not self._logged_in):
            self._answer(401 if not self._logged_in else 404, {"X-Error-Code": "RepoNotFound"})
            return
        oid = repository.branches.get(revision, revision)
        if oid not in repository.commits:
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
            return
        commit = {"X-Repo-Commit": oid}
        data = repository.commits[oid].get(file)
        if data is None:
            self._answer(404, {**commit, "X-Error-Code": "EntryNotFound"})
        elif file.endswith(LARGE):
            headers = {
                "X-Linked-Etag": f'"{sha256(data)}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"{self.server_hub.other_host}/cdn/{name}/{oid}/{file}",
            }
            self._answer(302, {**commit, **headers, "ETag": f'"{git_sha1(b"pointer")}"'})
        else:
            self._answer(200, {**commit, "ETag": f'"{git_sha1(data)}"'}, data if body else None, len(data))

    def _large(self, data: bytes) -> None:
        hub, start = self.server_hub, 0
        if hub.lies:
            data = data[:-1] + bytes([data[-1] ^ 1])
        headers = {"Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send_response(206 if start else 200)
        for key, value in {**headers, "Content-Length": str(len(data) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        end = len(data)
        if hub.cuts:
            end = min(end, start + hub.cuts.pop(0))
        if hub.stall_after is not None:
            stop, hub.stall_after = start + hub.stall_after, None
            self.wfile.write(data[start:stop])
            self.wfile.flush()
            start = stop
            hub.stalled.set()
            hub.go_on.wait(600)
        try:
            self.wfile.write(data[start:end])
            self.wfile.flush()
        except OSError:  # the asking process was killed
            pass
        if end < len(data):
            self.close_connection = True

    def do_POST(self) -> None:
        path, hub = self._begin(), self.server_hub
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._logged_in:
            self._answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
            return
        if path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(content))
        elif branch := re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/([^/]+)", path):
            repository = hub.repositories[branch[1]]
            repository.branches.setdefault(unquote(branch[2]), repository.branches["main"])
            self._json({})
        elif re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", path):
            modes = [
                {"path": file["path"], "shouldIgnore": False}
                | {"uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular"}
                for file in json.loads(content)["files"]
            ]
            self._json({"files": modes})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{hub.url}/upload/{wanted['oid']}"}}}
                for wanted in json.loads(content)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif commit := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", path):
            self._commit(commit[1], unquote(commit[2]), content)
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        oid = self._begin().rsplit("/", 1)[-1]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        right = sha256(data) == oid
        if right:
            self.server_hub.uploads[oid] = data
        self._answer(200 if right else 400)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        status = 409 if name in self.server_hub.repositories else 200
        if status == 200:
            self.server_hub.repositories[name] = Repository(
                wanted.get("visibility") == "private" or bool(wanted.get("private"))
            )
            self.server_hub.add(name, {".gitattributes": b""})
        self._json({"url": f"{self.server_hub.url}/{name}"}, status)

    def _commit(self, name: str, branch: str, content: bytes) -> None:
        files = {}
        for line in content.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.server_hub.uploads[value["oid"]]
        oid = self.server_hub.repositories[name].commit(files, branch)
        self._json({"commitOid": oid, "commitUrl": f"{self.server_hub.url}/{name}/commit/{oid}"})

    def _begin(self) -> str:
        path = urlsplit(self.path).path
        self.server_hub.requests.append((self.command, path, self.headers.get("Authorization")))
        return path

    @property
    def _logged_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _json(self, table: object, status: int = 200) -> None:
        self._answer(status, {"Content-Type": "application/json"}, json.dumps(table).encode())

    def _answer(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
        length: int | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data or b"") if length is None else length))
        self.end_headers()
        if data is not None:
            self.wfile.write(data)
