"""Opening a model reads each of its files once, and only those it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

FAMILIES = ("sweettok", "omnitokenizer", "omnitokenizer-vae", "vidtok-fsq-causal", "vidtok-kl-causal")

COUNT = """
import json, sys
from pathlib import Path
folder, opened = Path(sys.argv[1]), []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and Path(arguments[0]).parent == folder:
        opened.append(Path(arguments[0]).name)
sys.addaudithook(hook)
{code}
print(json.dumps(opened))
"""
LOAD = "from sweettok_cli import load; load(str(folder), 'cpu')"
INFO = """
from sweettok_cli.cli.app import main
sys.argv = ["sweettok", "info", str(folder), "--quiet"]
try:
    main()
except SystemExit:
    pass
"""


def opened(folder: Path, code: str) -> Counter[str]:
    command = [sys.executable, "-c", COUNT.replace("{code}", code), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Counter(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_file_is_read_once(family: str, families: dict[str, Path]) -> None:
    files = {path.name for path in families[family].iterdir()}
    assert opened(families[family], LOAD) == dict.fromkeys(files, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_not_read_to_describe_a_model(family: str, families: dict[str, Path]) -> None:
    small = {path.name for path in families[family].iterdir()} - {"model.safetensors"}
    assert opened(families[family], INFO) == dict.fromkeys(small, 1)
