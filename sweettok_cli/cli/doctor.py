"""``sweettok doctor``: is everything there that the program needs."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import FAILED, Output
from sweettok_cli.runtime import __version__
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

#: Distribution, module to import, the extra that brings it ("" for what every installation has).
_PACKAGES = (
    ("numpy", "numpy", ""),
    ("torch", "torch", ""),
    ("av", "av", ""),
    ("pillow", "PIL", ""),
    ("einops", "einops", ""),
    ("safetensors", "safetensors", ""),
    ("huggingface-hub", "huggingface_hub", ""),
    ("typer", "typer", ""),
    ("rich", "rich", ""),
    ("accelerate", "accelerate", "train"),
    ("tomli-w", "tomli_w", "train"),
    ("torchmetrics", "torchmetrics", "eval"),
    ("transformers", "transformers", "codebook"),
    ("wordfreq", "wordfreq", "codebook"),
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what it is.
        state: "ok", "missing" (only some commands need it) or "broken" (nothing works without it).
        detail: version or place, or what to do.
    """

    name: str
    state: str
    detail: str


def doctor(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Check versions, devices, weights and optional parts.

    The exit code is 1 if something is broken that every command needs.

    Examples:

        sweettok doctor

        sweettok doctor --json
    """
    findings = [
        Finding(
            "sweettok", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
        ),
        *(_package(*row) for row in _PACKAGES),
        _h264(),
        *_devices(),
        _weights(),
        _wordnet(),
    ]
    broken = [finding.name for finding in findings if finding.state == "broken"]
    width = max(len(finding.name) for finding in findings) + 2
    text = "\n".join(f"{found.state:<9}{found.name:<{width}}{found.detail}" for found in findings)
    data: dict[str, Any] = {"healthy": not broken, "findings": [asdict(finding) for finding in findings]}
    out = Output(json=as_json, quiet=quiet)
    out.result(data, text)
    if broken:
        out.error(f"Broken or missing: {', '.join(broken)}; install sweettok again to repair it.")
        raise typer.Exit(FAILED)


def _package(name: str, module: str, extra: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        if extra:
            return Finding(name, "missing", f"pip install 'sweettok[{extra}]'")
        return Finding(name, "broken", f"not installed: pip install {name}")
    if extra:
        return Finding(name, "ok", version)
    try:
        importlib.import_module(module)
    # A package that is there but does not load may raise anything: ImportError, OSError of a library, ...
    except Exception as error:
        return Finding(name, "broken", f"{version} does not load: {' '.join(str(error).split())}")
    return Finding(name, "ok", version)


def _h264() -> Finding:
    try:
        import av
    except ImportError:
        return Finding("H.264", "broken", "cannot be written without av")
    libraries = ", ".join(
        f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items()
    )
    if "libx264" not in av.codecs_available:
        return Finding(
            "H.264", "broken", "this build of av has no libx264; install av from the package index"
        )
    return Finding("H.264", "ok", f"libx264; {libraries}")


def _devices() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError):
        return [Finding("devices", "broken", "cannot be used without torch")]
    found = [Finding("cpu", "ok", f"cores: {os.cpu_count()}, threads: {torch.get_num_threads()}")]
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory
        found.append(
            Finding(f"cuda:{index}", "ok", f"{torch.cuda.get_device_name(index)}, {memory / 2**30:.0f} GiB")
        )
    if torch.backends.mps.is_available():
        found.append(Finding("mps", "ok", "Apple GPU"))
    if len(found) == 1:
        found.append(Finding("gpu", "missing", "none found; everything runs on the CPU, only slower"))
    return found


def _weights() -> Finding:
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.zoo.local import find_model

    try:
        folder = Path(find_model(DEFAULT_MODEL))
    except SweettokError as error:
        return Finding(DEFAULT_MODEL, "broken", str(error))
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return Finding(DEFAULT_MODEL, "ok", f"{folder} ({size / 1e6:.1f} MB)")


def _wordnet() -> Finding:
    from sweettok_cli.codebook.wordnet import DEFAULT_FOLDER

    if (DEFAULT_FOLDER / "index.noun").is_file():
        return Finding("wordnet", "ok", str(DEFAULT_FOLDER))
    how = "apt install wordnet-base" if sys.platform == "linux" else "pass --wordnet DIR"
    return Finding("wordnet", "missing", f"only `sweettok codebook build` needs it: {how}")
