"""Which number format a device trains in."""

from __future__ import annotations

from pathlib import Path

import torch

# What Linux calls the instructions that multiply bfloat16 natively on x86 and ARM.
_NATIVE_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def resolve_precision(wanted: str, device: torch.device) -> str:
    """``bf16`` or ``fp32`` for ``auto``: bf16 exactly where the device has instructions for it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and bool(_NATIVE_BF16 & cpu_flags())
    return "bf16" if native else "fp32"


def cpu_flags() -> set[str]:
    """Instruction sets of the first processor as the kernel lists them; empty where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next(
        (set(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))),
        set(),
    )
