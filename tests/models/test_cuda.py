"""The same tokens on a CUDA device: run with `pytest -m gpu` where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.zoo.load import load

pytestmark = pytest.mark.gpu


def clips() -> np.ndarray:
    coarse = np.random.default_rng(5).integers(0, 256, (2, 17, 8, 16, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def test_float32_agrees_with_the_cpu(model_folder: Path) -> None:
    cpu = load(str(model_folder), "cpu", "float32")
    cuda = load(str(model_folder), "cuda", "float32")
    ours, theirs = cpu.encode_clips(clips()), cuda.encode_clips(clips())
    for name in ours:
        assert (ours[name] == theirs[name]).mean() > 0.99  # near ties may fall either way
    shown = cpu.decode_clips(ours, 64, 128).astype(int)
    assert np.abs(shown - cuda.decode_clips(ours, 64, 128)).max() <= 1


def test_auto_is_cuda_in_bfloat16_and_close(model_folder: Path) -> None:
    cpu, auto = load(str(model_folder), "cpu"), load(str(model_folder))
    ids = cpu.encode_clips(clips())
    shown = cpu.decode_clips(ids, 64, 128).astype(int)
    assert np.abs(shown - auto.decode_clips(ids, 64, 128)).mean() < 2
