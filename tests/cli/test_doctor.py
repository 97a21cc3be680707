from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_what_is_there(cli: Cli) -> None:
    ran = cli("doctor", "--json")
    data = json.loads(ran.out)
    found = {finding["name"]: finding for finding in data["findings"]}
    assert found["torch"] == {"name": "torch", "state": "ok", "detail": metadata.version("torch")}
    assert found["H.264"]["state"] == "ok"
    assert found["sweettok-small"]["state"] == "ok"
    assert found["cpu"]["state"] == "ok"
    assert "wordnet" in found
    assert (data["healthy"], ran.code) == (True, 0)


def test_what_is_missing_names_its_remedy(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without(name: str) -> str:
        if name == "accelerate":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    ran = cli("doctor")
    assert ran.code == 0
    line = next(line for line in ran.out.splitlines() if "accelerate" in line)
    assert line.startswith("missing")
    assert "sweettok[train]" in line


def test_what_is_broken_is_an_error(process: Cli, tmp_path: Path) -> None:
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so: cannot open shared object file')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = process("doctor", "--json", env={"PYTHONPATH": path}, check_code=1)
    data = json.loads(ran.out)
    assert not data["healthy"]
    broken = {
        finding["name"]: finding["detail"] for finding in data["findings"] if finding["state"] == "broken"
    }
    assert "libavcodec.so" in broken["av"]
    assert "H.264" in broken
