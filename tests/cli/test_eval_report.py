from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from block_tokenizer import BlockTokenizer

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_page_shows_the_clips_and_is_replaced_only_by_force(
    cli: Cli, blocks: list[BlockTokenizer], examples: Path, tmp_path: Path
) -> None:
    clips, page = tmp_path / "clips", tmp_path / "report.html"
    clips.mkdir()
    shutil.copy(examples / "intel-iot-devkit+sample-videos__001.mp4", clips / "a & b.mp4")
    ran = cli(
        "eval", clips, "--model", "blocks", "--baseline", "x264", "--no-curves", "--report", page, "--quiet"
    )
    assert ran.code == 0, ran.err
    text = page.read_text(encoding="utf-8")
    assert "a &amp; b.mp4" in text and 'than <bdi class="name">x264</bdi>' in text
    assert 'id="film-0"' in text and 'id="film-1"' not in text
    assert "--no-curves" in text
    again = cli("eval", clips, "--model", "blocks", "--report", page)
    assert again.code == 1 and "exists" in again.err
    assert cli("eval", clips, "--model", "blocks", "--report", page, "--force", "--quiet").code == 0
    assert "x264" not in page.read_text(encoding="utf-8").partition("<main>")[2].partition("Papers")[0]
