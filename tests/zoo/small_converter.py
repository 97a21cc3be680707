"""``python small_converter.py models pull NAME``: the real command, for checkpoints of any bytes.

Everything but the reading of the checkpoint is the program's own. ``PAUSE_AT`` names a moment ("weights",
"config") at which the converter stops for good, after it has made the file ``PAUSED``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from sweettok_cli.files import sha256_file
from sweettok_cli.storage.model_folder import FORMAT, VERSION, ModelHeader, as_json


def model_files(name: str, seed: int = 0, **more: Any) -> dict[str, bytes]:
    """The files of a model folder: a weights file that is sound, of no network in particular."""
    weights = save({"a": np.full((50, 1000), seed, np.float32), "b": np.arange(7)})
    table = {"format": FORMAT, "version": VERSION, "name": name, "family": "omnitokenizer", "config": {}}
    table |= {"weights_sha256": hashlib.sha256(weights).hexdigest(), **more}
    return {"config.json": as_json(table).encode(), "model.safetensors": weights}


def convert_checkpoint(
    file: Path, family_or_name: str, *, name: str, folder: Path, source: dict[str, Any]
) -> ModelHeader:
    """Make a model folder of a checkpoint whose first byte is its seed."""
    assert sha256_file(file) == source["sha256"]
    folder.mkdir(parents=True)
    files = model_files(name, file.read_bytes()[0], source=source)
    pause("weights")
    (folder / "model.safetensors").write_bytes(files["model.safetensors"])
    pause("config")
    (folder / "config.json").write_bytes(files["config.json"])
    return ModelHeader(folder, name, "omnitokenizer", "", {}, source)


def pause(moment: str) -> None:
    if os.environ.get("PAUSE_AT") == moment:
        Path(os.environ["PAUSED"]).touch()
        time.sleep(60)


if __name__ == "__main__":
    module = types.ModuleType("sweettok_cli.zoo.convert")
    module.convert_checkpoint = convert_checkpoint  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    from sweettok_cli.cli.app import main

    main()
