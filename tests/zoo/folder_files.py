"""The files of a model folder of no network in particular, for what only copies, checks and stores them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from safetensors.numpy import save

from sweettok_cli.storage.model_folder import FORMAT, VERSION, as_json


def model_files(name: str, seed: int = 0, **more: Any) -> dict[str, bytes]:
    """Contents by file name: the weights file is sound, the configuration empty but for ``more``."""
    weights = save({"a": np.full((50, 1000), seed, np.float32), "b": np.arange(7)})
    table = {"format": FORMAT, "version": VERSION, "name": name, "family": "omnitokenizer", "config": {}}
    table |= {"weights_sha256": hashlib.sha256(weights).hexdigest(), **more}
    return {"config.json": as_json(table).encode(), "model.safetensors": weights}
