"""bf16 where the processor computes in it, and only there."""

from __future__ import annotations

import pytest
import torch

from sweettok_cli import runtime as precision
from sweettok_cli.runtime import resolve_precision


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ({"avx2", "avx512_bf16"}, "bf16"),
        ({"amx_bf16"}, "bf16"),
        ({"avx2", "avx512f"}, "fp32"),
        (set(), "fp32"),
    ],
)
def test_auto_asks_the_processor(flags: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_flags", lambda: flags)
    assert resolve_precision("auto", torch.device("cpu")) == chosen
    assert resolve_precision("bf16", torch.device("cpu")) == "bf16"
    assert resolve_precision("fp32", torch.device("cpu")) == "fp32"
