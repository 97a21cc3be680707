"""A record without a run: three clips, and models that all get the same figures."""

from __future__ import annotations

import json
from typing import Any

from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.evaluation.record import Record

CLIPS = ("short.mp4", "a folder/with a name that is longer than a line/" + "film" * 12, "日本語の動画.mp4")


def record_of(*names: str, clips: tuple[str, ...] = CLIPS) -> Record:
    """Of models of these names, in which every figure is made up."""
    figures = {"psnr": (28.0, "dB"), "ssim": (0.8, ""), "ms_ssim": (0.9, ""), "bits_per_pixel": (0.05, "")}
    defined = {"definition": "d", "better": "higher", "clips": len(clips)}
    summary = {
        name: {"value": value, "low": value - 0.01, "high": value + 0.01, "unit": unit, **defined}
        for name, (value, unit) in figures.items()
    }
    clip_256 = {"frames": 17, "width": 256, "height": 256, "tokens": {"i": 7}, "indices": 7, "kbit": 1.0}
    method = {
        "kind": "model",
        "family": "f",
        "weights_sha256": "0",
        "settings": {},
        "summary": summary,
        "not_measured": {"rfvd": "no weights."},
        "warnings": [],
        "codebooks": {},
        "cost": {"clips": 3, "tokens": 1, "indices": 1, "bits": 1.0, "clip_256": clip_256},
        "seconds": {"encode": 1.0, "decode": 1.0},
    }
    score = {"psnr": 27.5, "ssim": 0.8, "ms_ssim": 0.9, "bits": 1.0, "bits_per_pixel": 0.05, "tokens": 1}
    score |= {"kbit_per_second": 9.0, "indices": 1, "temporal_flicker": 1.0, "seam_energy": 1.0}
    score |= {"seam_flicker": 1.0, "settings": [], "seconds": 1.0}
    size = {"width": 1920, "height": 1080, "frames": 5, "rate": "25", "start": 0, "image": False}
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    difference = {"difference": -0.5, "low": -0.75, "high": -0.25, "clips": 3, "better": "higher"}
    protocol = Protocol("default").to_json()
    protocol |= {"published_on": "", "interval": "i", "differs_from_paper": []}
    made: dict[str, Any] = {
        "format": "sweettok-eval",
        "version": 1,
        "sweettok": "1",
        "command": "c",
        "date": "d",
        "machine": {},
        "protocol": protocol,
        "data": {"name": "clips", "split": None, "items": 3, "clips": 3, "frames": 15, "notes": []},
        "contenders": [{"name": name, **method} for name in names],
        "clips": [
            {"name": name, "label": None, **size, "scores": dict.fromkeys(names, score)} for name in clips
        ],
        "curves": {},
        "comparisons": [
            {"a": a, "b": b, "metric": metric, **difference} for a, b in pairs for metric in ("psnr", "ssim")
        ],
        "published": [],
        "failed": [],
    }
    return Record.from_json(json.loads(json.dumps(made)))
