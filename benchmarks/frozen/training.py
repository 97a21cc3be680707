"""Weights, losses and samples of every stage, straight and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bench import Bench, Ran
from digests import tensors_digest, video_facts
from output import keep_command_json, without

# A network of 64-pixel tiles that trains in seconds, and a run that logs, saves and draws half way.
NETWORK = {
    "preset": "compact",
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "tile": 8,
    "spatial_queries": 4,
    "encoder_spatial": "tt",
    "encoder_temporal": "t",
    "decoder_spatial": "tt",
    "temporal_every": 1,
    "code_dim": 16,
    "proxy_codes": 0,
    "pixels": True,
    "scrambled": False,
}
SMALL_NETWORK = {
    "preset": "sweettok-small",
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "code_dim": 16,
    "spatial_code": [4, 3],
    "temporal_code": [4, 3],
}
RUN = {
    **{"steps": 6, "lr": 1e-3, "warmup": 2, "precision": "fp32", "crop": [[64, 2, 1.0], [64, 4, 0.5]]},
    **{"hold_out": 1, "prefetch": 2, "log_every": 2, "checkpoint_every": 3, "keep_checkpoints": 9},
    **{"sample_every": 3, "validate_every": 3, "ssim": 0.1},
    **{"perceptual": 0, "adversarial": 0, "teacher": "", "proxy": 0, "pictures": 0},
}


def train_stage(bench: Bench, stage: int) -> None:
    """Six steps of a stage from a prior, or the third from the model of its own; resumed from the third."""
    values = {**RUN, "stage": stage, "init_samples": 0, "frames": 1 if stage == 1 else 17}
    start, network = ["--prior", bench.models / "prior"], NETWORK
    if stage == 3:
        start, network = ["--init", bench.models / "sweettok-differences"], {}  # that model's own
    settings = recipe_settings(values, network)
    train(bench, f"stage {stage}", ["--config", f"compact-ucf101-stage{stage}", *start, *settings])


def train_small(bench: Bench) -> None:
    """The shipped layout: anchored tokens, weights that start from the data, pictures between the clips."""
    values = {**RUN, "stage": 2, "init_samples": 8, "pictures": 0.3, "reverse": True, "accumulate": 2}
    start = ["--config", "sweettok-small-stage2", "--prior", bench.models / "prior"]
    train(bench, "small stage 2", [*start, *recipe_settings(values, SMALL_NETWORK)])


def recipe_settings(values: dict[str, Any], network: dict[str, Any]) -> list[object]:
    """``--set`` for each, in TOML's notation, which for these values is JSON's."""
    named = values | {f"model.{key}": value for key, value in network.items()}
    return [part for key, value in named.items() for part in ("--set", f"{key}={json.dumps(value)}")]


def train(bench: Bench, name: str, options: list[object]) -> None:
    """A straight run; then the same folder with all after step 3 taken away, resumed."""
    inputs, out = bench.work / "in", bench.work / "runs" / name.replace(" ", "-")
    data = ["--data", inputs / "clips", "--val", inputs / "val", "--out", out, "--json"]
    if not (bench.models / "prior").is_dir():
        return
    ran = bench.run("train", *data, *options)
    if ran.code:
        bench.keep_json("training", name, {"code": ran.code, "error": ran.err})
        return
    keep_run(bench, name, out, ran)
    for file in sorted((out / "model").iterdir()):
        if file.suffix != ".safetensors":
            bench.keep_text("training", f"{name} {file.name}", file.read_text(encoding="utf-8"))
    bench.keep_text("training", f"{name} recipe", (out / "recipe.toml").read_text(encoding="utf-8"))
    shutil.rmtree(out / "checkpoints" / "00000006")
    (out / "model" / "model.safetensors").unlink()
    straight = bench.found["training"][f"{name} weights"]
    keep_run(bench, f"{name} resumed", out, bench.run("train", *data, "--resume"))
    resumed = bench.found["training"][f"{name} resumed weights"]
    bench.keep("training", f"{name} resumed is as straight", resumed == straight)


def keep_run(bench: Bench, name: str, out: Path, ran: Ran) -> None:
    """Weights, log and sample grids of a run."""
    keep_command_json(bench, "training", f"{name} summary", ran, {"minutes"})
    weights = out / "model" / "model.safetensors"
    bench.keep("training", f"{name} weights", tensors_digest(weights) if weights.is_file() else None)
    timed_keys = {"seconds_per_step", "data_wait", "minutes"}
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    # A resumed run says once more how many parameters learn; that line is the start's, not the steps'.
    bench.keep_json("training", f"{name} log", without(lines, timed_keys))
    for file in sorted((out / "samples").glob("*.png")):
        bench.keep("training", f"{name} {file.name}", video_facts(file))
