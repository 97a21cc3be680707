"""``python tiny_vidtok.py encode clip.mp4 --model NAME``: the real command, whose pulls bring a tiny VidTok.

Fetching, checking and storing are the program's own; what stands in for 630 MB of weights is written by the
test.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from small_models import save_vidtok

from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader


def convert_checkpoint(
    file: Path, family_or_name: str, *, name: str, folder: Path, source: dict[str, Any]
) -> ModelHeader:
    save_vidtok(folder, "vidtok-fsq-causal", name, source)
    return ModelFolder(folder).header


if __name__ == "__main__":
    module = types.ModuleType("sweettok_cli.zoo.convert")
    module.convert_checkpoint = convert_checkpoint  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    from sweettok_cli.cli.app import main

    main()
