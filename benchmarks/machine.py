"""Where and when a figure was measured, and with which versions: part of every result."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def describe() -> dict[str, Any]:
    """Date, processor, memory and versions."""
    import torch

    from sweettok_cli import __version__
    from sweettok_cli.runtime import processor

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    packages = ("torch", "numpy", "av", "einops")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"sweettok": __version__} | {name: metadata.version(name) for name in packages},
    }
