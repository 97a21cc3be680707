"""Random numbers of a batch: functions of seed and number, drawn for the samples of all processes at once.

Each process takes its samples' part of them, so that two draw what one draws that is given twice as many. A
run that goes on needs no generator's state, and numbers that are of no sample, such as dropout over words,
are the same everywhere.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.training import collective


def begin(seed: int, number: int) -> None:
    """Start the random numbers of batch ``number`` (0, 1, ...), whatever was drawn before."""
    torch.manual_seed(int(np.random.default_rng([seed, number]).integers(1 << 63)))


def integers(high: int, count: int) -> Tensor:
    """One whole number below ``high`` for each of ``count`` samples: int64 [count], on the CPU."""
    return collective.share(torch.randint(high, (count * collective.processes(),)))


def normal_like(x: Tensor) -> Tensor:
    """Standard normal numbers, of shape, format and device of samples ``x`` [b, ...]."""
    whole = len(x) * collective.processes(), *x.shape[1:]
    return collective.share(torch.randn(whole, dtype=x.dtype, device=x.device))
