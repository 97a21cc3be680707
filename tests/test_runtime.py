"""bf16 where the processor computes in it, and only there; threads of processes that share the cores."""

from __future__ import annotations

import os

import pytest
import torch

from sweettok_cli import runtime as precision
from sweettok_cli.runtime import resolve_precision, threads_of_each


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


def test_processes_share_the_cores_and_keep_to_what_one_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_of_each(processes) for processes in (1, 3, 8, 100)] == [8, 2, 1, 1]
    for given, most in (("3", 3), ("0", 8), ("16", 8), ("many", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert threads_of_each(1) == most
