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
from sweettok_cli.zoo.catalogue import named_model
from tests.published_files import save_small_omnitokenizer

NAME = "omnitokenizer-ffhq-ucf"


def test_encode_fetches_and_decode_works_offline(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (40, 72, 3), dtype=np.uint8))
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SWEETTOK_"))}

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sweettok_cli", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**clean, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", **env},
        )

    model = named_model(NAME)
    assert model is not None
    checkpoint = save_small_omnitokenizer(tmp_path / "published.ckpt").read_bytes()
    with HubServer() as hub:
        hub.add(model.repository, {model.file: checkpoint}, oid=model.revision)
        refused = run("encode", "a.png", "--model", NAME, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1")
        assert refused.returncode == 1 and not (tmp_path / "a.png.npz").exists()
        assert refused.stderr.count("error: ") == 1 and "HF_HUB_OFFLINE" in refused.stderr
        first = run("encode", "a.png", "--model", NAME, HF_ENDPOINT=hub.url)
        assert first.returncode == 0, first.stderr
        announced = f"Fetching {NAME} from {hub.url}/{model.repository} ({model.file}, 0.8 MB)\n"
        assert first.stderr.startswith(announced)
    meta = read_tokens(tmp_path / "a.png.npz").meta
    assert (meta.model, meta.family) == (NAME, "omnitokenizer")
    again = run("decode", "a.png.npz", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert model.repository not in again.stderr and (tmp_path / "a.png.decoded.png").exists()
