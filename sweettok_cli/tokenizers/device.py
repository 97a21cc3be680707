"""The one place that picks a device and a number format."""

from __future__ import annotations

import torch

from sweettok_cli.errors import SweettokError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str) -> torch.device:
    """``auto`` (CUDA, then Apple's MPS, then the CPU), or the named device if it is there.

    Raises:
        SweettokError: the device is not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    kind = name.partition(":")[0]
    if kind not in available:
        raise SweettokError(f"There is no device {name!r}; --device takes auto, cpu, cuda or mps.")
    if not available[kind]:
        raise SweettokError(f"This machine has no {kind} device that torch can use; pass --device cpu.")
    return torch.device(name)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16 on CUDA devices that compute in it, float32 elsewhere; or the named format.

    Raises:
        SweettokError: no such format.
    """
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    if name not in DTYPES:
        raise SweettokError(f"There is no number format {name!r}; --dtype takes auto, {', '.join(DTYPES)}.")
    return DTYPES[name]
