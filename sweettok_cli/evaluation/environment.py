"""The machine and the versions that figures were measured with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import av

_PACKAGES = ("torch", "numpy", "av", "pillow")


def versions() -> dict[str, str]:
    """Of the packages that pixels go through, by name."""
    return {name: metadata.version(name) for name in _PACKAGES}


def environment() -> dict[str, str]:
    """What a figure may depend on beside the protocol, by name."""
    found = {
        "processor": f"{processor()}, {os.cpu_count()} threads",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
    }
    found |= versions()
    found["FFmpeg's libavcodec"] = ".".join(map(str, av.library_versions["libavcodec"]))
    return found


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
