"""A named model is fetched when it is first used, and needs no network after that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hub_server import HubServer

from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import write_image

NAME = "vidtok-fsq-causal-488-32768"


def test_encode_fetches_and_decode_works_offline(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (40, 72, 3), dtype=np.uint8))
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SWEETTOK_"))}

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(Path(__file__).with_name("tiny_vidtok.py")), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**clean, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", **env},
        )

    with HubServer() as hub:
        hub.add("microsoft/VidTok", {"checkpoints/vidtok_fsq_causal_488_32768.ckpt": bytes(100_000)})
        refused = run("encode", "a.png", "--model", NAME, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1")
        assert refused.returncode == 1 and not (tmp_path / "a.npz").exists()
        assert refused.stderr.count("error: ") == 1 and "HF_HUB_OFFLINE" in refused.stderr
        first = run("encode", "a.png", "--model", NAME, HF_ENDPOINT=hub.url)
        assert first.returncode == 0, first.stderr
        assert "microsoft/VidTok" in first.stderr
    meta = read_tokens(tmp_path / "a.npz").meta
    assert (meta.model, meta.family) == (NAME, "vidtok-fsq")
    again = run("decode", "a.npz", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert "microsoft/VidTok" not in again.stderr and (tmp_path / "a.decoded.png").exists()
