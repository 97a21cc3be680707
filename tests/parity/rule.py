"""Weights and inputs that golden tensors were made with: all follows from names and a salt."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

TESTS = Path(__file__).resolve().parent.parent


def case_folder(name: str) -> Path:
    """The folder of one case: of the full set if there is one, else the excerpt in tests/golden.

    $SWEETTOK_REFERENCE names the full set; by default it is looked for beside the checkout. Any set in the
    same format will do, made with whatever salt.
    """
    chosen = os.environ.get("SWEETTOK_REFERENCE")
    root = Path(chosen) if chosen else TESTS.parent.parent / "shared" / "reference" / "public"
    if chosen and not root.is_dir():
        raise FileNotFoundError(f"SWEETTOK_REFERENCE={chosen} is not a folder")
    return root / name if (root / name).is_dir() else TESTS / "golden" / name


def generator(salt: str, name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32((salt + name).encode()))


def randn(salt: str, name: str, shape: Iterable[int]) -> np.ndarray:
    return generator(salt, name).standard_normal(tuple(shape)).astype(np.float32)


def integers(salt: str, name: str, high: int, shape: Iterable[int]) -> Tensor:
    return torch.from_numpy(generator(salt, name).integers(0, high, tuple(shape), dtype=np.int64))


def video(salt: str, name: str, shape: Iterable[int], amp: float, lim: float) -> Tensor:
    """Coarse blocks of 16 pixels plus fine noise, clipped to +-lim."""
    *lead, height, width = shape
    coarse = randn(salt, "coarse:" + name, (*lead, height // 16, width // 16))
    coarse = coarse.repeat(16, axis=-2).repeat(16, axis=-1)
    fine = randn(salt, "fine:" + name, (*lead, height, width))
    mixed = np.float32(amp) * (np.float32(0.7) * coarse + np.float32(0.3) * fine)
    return torch.from_numpy(np.clip(mixed, -np.float32(lim), np.float32(lim)).astype(np.float32))


def weight(salt: str, name: str, shape: tuple[int, ...], rule: str) -> Tensor:
    """The tensor that a rule name of keys.json stands for."""
    if rule == "zero":
        return torch.zeros(shape)
    g = randn(salt, name, shape)
    fan = np.float32(math.sqrt(math.prod(shape[1:]))) if len(shape) > 1 else np.float32(1)
    values = {
        "absplus": lambda: np.abs(g) + np.float32(0.5),
        "tenth": lambda: np.float32(0.1) * g,
        "unit": lambda: g,
        "rownorm": lambda: g / np.sqrt((g * g).sum(-1, keepdims=True)),
        "half": lambda: np.float32(0.5) * g,
        "bias10": lambda: np.float32(0.002) * g,
        "bias": lambda: np.float32(0.02) * g,
        "gain": lambda: 1 + np.float32(0.1) * g,
        "fan8": lambda: np.float32(8) * g / fan,
        "fan32": lambda: np.float32(32) * g / fan,
        "fan": lambda: g / fan,
    }
    return torch.from_numpy(np.asarray(values[rule](), dtype=np.float32))


@dataclass(frozen=True)
class Case:
    """One folder of golden tensors: manifest.json, data.safetensors and, for most, keys.json."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "manifest.json").read_text())

    @cached_property
    def data(self) -> dict[str, Tensor]:
        return load_file(self.folder / "data.safetensors")

    @property
    def salt(self) -> str:
        return self.manifest["salt"]

    def input_video(self, name: str) -> Tensor:
        spec = self.manifest["inputs"][name]
        return video(self.salt, name, spec["shape"], spec["amp"], spec["lim"])

    def weights(self, prefix: str = "") -> dict[str, Tensor]:
        """Every floating tensor of the case's network whose name starts with ``prefix``."""
        keys = json.loads((self.folder / "keys.json").read_text())
        return {
            name: weight(self.salt, name, tuple(spec["shape"]), spec["rule"])
            for name, spec in keys.items()
            if spec["rule"] != "keep" and name.startswith(prefix)
        }

    def error(self, name: str, actual: Tensor) -> float:
        """Largest absolute difference between ``actual`` and the stored elements of output ``name``."""
        spec = self.manifest["outputs"][name]
        assert list(actual.shape) == spec["shape"], f"{name}: {list(actual.shape)} instead of {spec['shape']}"
        actual = actual.detach().float()
        stored = self.data[name].float()
        assert stored.numel() == spec.get("sample_n", actual.numel())
        if spec["stored"] == "sample":
            places = generator(self.salt, "pos:" + name).integers(0, actual.numel(), spec["sample_n"])
            actual = actual.reshape(-1)[torch.from_numpy(places)]
        return (actual.reshape(-1) - stored.reshape(-1)).abs().max().item()
