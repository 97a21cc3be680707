"""All frames of a file beside what its tokens decode to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.reconstruct import reconstruct_frames
from sweettok_cli.video import VideoReader


def reconstructed(path: Path, tokenizer: Tokenizer, **options: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    with VideoReader(path) as reader:
        return list(reconstruct_frames((f.rgb for f in reader), reader.info, tokenizer, **options))
