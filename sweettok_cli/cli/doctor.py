"""``sweettok doctor``: is everything there that the program needs."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from typing import Any, NamedTuple

import typer

from sweettok_cli.cli.columns import lined_up
from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import FAILED, Output
from sweettok_cli.runtime import __version__
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

#: Distributions by the extra that brings them ("" for what every installation has).
_PACKAGES = {
    "": ("numpy", "torch", "av", "pillow", "einops", "safetensors", "huggingface-hub", "typer", "rich"),
    "train": ("accelerate", "tomli-w"),
    "eval": ("torchmetrics",),
    "codebook": ("transformers", "wordfreq"),
    "shards": ("pyarrow", "torchdata"),
    "remote": ("fsspec", "aiohttp"),
    "generate": ("transformers",),
    "ray": ("ray",),
}


class Finding(NamedTuple):
    """One thing looked at."""

    name: str
    #: "ok", "missing" (only some commands need it) or "broken" (nothing works without it).
    state: str
    #: Version or place, or what to do.
    detail: str


def doctor(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Check versions, devices, weights and optional parts.

    The exit code is 1 if something is broken that every command needs.

    Examples:

        sweettok doctor

        sweettok doctor --json
    """
    program = f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
    findings = [
        Finding("sweettok", "ok", program),
        *(_package(name, extra) for extra, names in _PACKAGES.items() for name in names),
        _h264(),
        *_devices(),
        _weights(),
        _wordnet(),
    ]
    broken = [finding.name for finding in findings if finding.state == "broken"]
    text = lined_up([found.state, found.name, found.detail] for found in findings)
    data: dict[str, Any] = {"healthy": not broken, "findings": [found._asdict() for found in findings]}
    out = Output(json=as_json, quiet=quiet)
    out.result(data, text)
    if broken:
        out.error(f"Broken or missing: {', '.join(broken)}; install sweettok again to repair it.")
        raise typer.Exit(FAILED)


def _package(name: str, extra: str) -> Finding:
    from importlib import metadata  # slow to import: --help shall not wait for it

    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        if extra:
            return Finding(name, "missing", f"pip install 'sweettok[{extra}]'")
        return Finding(name, "broken", f"not installed: pip install {name}")
    if extra:
        return Finding(name, "ok", version)
    try:
        importlib.import_module("PIL" if name == "pillow" else name.replace("-", "_"))
    # A package that is there but does not load may raise anything: ImportError, OSError of a library, ...
    except Exception as error:
        return Finding(name, "broken", f"{version} does not load: {' '.join(str(error).split())}")
    return Finding(name, "ok", version)


def _h264() -> Finding:
    try:
        import av
    except ImportError:
        return Finding("H.264", "broken", "cannot be written without av")
    if "libx264" not in av.codecs_available:
        how = "install av from the package index"
        return Finding("H.264", "broken", f"this build of av has no libx264; {how}")
    libraries = (f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    return Finding("H.264", "ok", f"libx264; {', '.join(libraries)}")


def _devices() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError):
        return [Finding("devices", "broken", "cannot be used without torch")]
    found = [Finding("cpu", "ok", f"cores: {os.cpu_count()}, threads: {torch.get_num_threads()}")]
    for index in range(torch.cuda.device_count()):
        chip = torch.cuda.get_device_properties(index)
        memory = f"{chip.total_memory / 2**30:.0f} GiB"
        found.append(Finding(f"cuda:{index}", "ok", f"{chip.name}, {memory}"))
    if torch.backends.mps.is_available():
        found.append(Finding("mps", "ok", "Apple GPU"))
    if len(found) == 1:
        found.append(Finding("gpu", "missing", "none found; everything runs on the CPU, only slower"))
    return found


def _weights() -> Finding:
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.files import folder_bytes
    from sweettok_cli.zoo.local import find_model

    try:
        folder = find_model(DEFAULT_MODEL)
    except SweettokError as error:
        return Finding(DEFAULT_MODEL, "broken", str(error))
    return Finding(DEFAULT_MODEL, "ok", f"{folder} ({folder_bytes(folder) / 1e6:.1f} MB)")


def _wordnet() -> Finding:
    from sweettok_cli.codebook.wordnet import DEFAULT_FOLDER

    if (DEFAULT_FOLDER / "index.noun").is_file():
        return Finding("wordnet", "ok", str(DEFAULT_FOLDER))
    how = "apt install wordnet-base" if sys.platform == "linux" else "pass --wordnet DIR"
    return Finding("wordnet", "missing", f"only `sweettok codebook build` needs it: {how}")
