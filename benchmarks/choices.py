"""What four choices behind sweettok-small bring, each measured with it and without.

    python benchmarks/choices.py VAL --train CLIPS
    python benchmarks/choices.py VAL --only seams --only tries
    python benchmarks/choices.py --only pairs

pairs   Gaussian vectors by the best pair of as many Gaussian codes as there are adjectives, as the quantizer
        searches it, and by the two nearest codes, as published; each at several spreads of the codes
seams   the clips of VAL, all frames, with the seams of decoding softened and not
tries   the same frames with the model's number of tries for the best pair and with that of training
start   a network as `sweettok train --stage 2` starts it from clips of --train with the model's words, on the
        validation measure of training over VAL: temporal tokens read what appearance leaves over, and
        differences of frames

Everything in float32 on the CPU. Prints a line a part and writes ``benchmarks/results/choices.json``; parts
that are not measured keep the figures that stand there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, describe

from sweettok_cli.codebook.prior import WordPrior
from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.sampler import Sampler
from sweettok_cli.evaluation.tables import figure
from sweettok_cli.metrics.bootstrap import difference_interval
from sweettok_cli.metrics.comparison import SeamFlicker, error_change
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.models.common.frames import to_frames, to_video
from sweettok_cli.models.sweettok.config import PRESETS, make_config
from sweettok_cli.models.sweettok.folder import read_config, read_model
from sweettok_cli.models.sweettok.initialise import start_linear
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.quantizer import best_pair, nearest
from sweettok_cli.models.sweettok.tokenizer import SweetTokTokenizer
from sweettok_cli.pipeline.reconstruct import reconstruct_frames
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.training.recipe_file import load_recipe
from sweettok_cli.training.samples import validation_psnr
from sweettok_cli.video import VideoReader
from sweettok_cli.video import clips as seams
from sweettok_cli.zoo.load import load, resolve_model

CPU = torch.device("cpu")
WIDTH, CODES, VECTORS = 8, 5078, 8192
# Standard deviations of the codes where that of the vectors is 1. The mean of two codes drawn at random
# spreads less than they do, so pairs want them further out; the linear start puts them at 1.35.
SPREADS = (0.9, 1.0, 1.1, 1.2, 1.35, 1.5)
# Recipe settings of both kinds of motion. Differences do not suit windows; no stack adds anything at the
# start, whatever its layers.
MOTIONS = {"residual": [], "differences": ["model.motion=differences", "model.encoder_temporal=t"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("val", type=Path, nargs="?", help="folder of clips to measure on")
    parser.add_argument("--train", type=Path, nargs="+", help="clips or tar shards to start from")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="measure this part; repeatable")
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--threads", type=int, default=2, help="threads that torch may use")
    parser.add_argument("--output", type=Path, default=RESULTS / "choices.json")
    options = parser.parse_args()
    chosen = [name for name in PARTS if name in (options.only or PARTS)]
    if options.val is None and chosen != ["pairs"]:
        parser.error("give VAL, a folder of clips; only `--only pairs` does without")
    if options.train is None and "start" in chosen:
        parser.error("start wants --train, clips or tar shards of which none is in VAL")
    torch.set_num_threads(options.threads)
    weights = ModelFolder(resolve_model(options.model)).header.weights_sha256
    subject = {"model": options.model, "weights_sha256": weights, "threads": options.threads}
    known = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        figures, line = PARTS[name](options)
        print(f"{name}: {line}", flush=True)
        known[name] = subject | figures | {"machine": describe()}
        ordered = {part: known[part] for part in PARTS if part in known}
        options.output.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


def measure_pairs(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Decibels of Gaussian vectors: variance over mean squared error."""
    tries = read_config(ModelFolder(resolve_model(options.model))).search
    random = torch.Generator().manual_seed(0)
    codes = torch.randn(CODES, WIDTH, generator=random)
    vectors = torch.randn(VECTORS, WIDTH, generator=random)

    def decibels(codes: torch.Tensor, ids: torch.Tensor) -> float:
        error = (vectors - codes[ids].mean(dim=-2)).square().mean()
        return float(10 * torch.log10(vectors.var() / error))

    rows: list[dict[str, float]] = []
    for spread in SPREADS:
        spread_codes = spread * codes
        pair = decibels(spread_codes, best_pair(vectors, spread_codes, tries))
        two = decibels(spread_codes, nearest(vectors, spread_codes, 2))
        rows.append({"spread": spread, "best_pair": pair, "two_nearest": two})
    figures = {"width": WIDTH, "codes": CODES, "vectors": VECTORS, "tries": tries, "rows": rows}
    best = {way: max(rows, key=lambda row: row[way]) for way in ("best_pair", "two_nearest")}
    each = [f"{row[way]:.2f} dB with codes of spread {row['spread']}" for way, row in best.items()]
    as_spread = next(row["two_nearest"] for row in rows if row["spread"] == 1.0)
    line = f"best pair of {tries} tries {each[0]}; two nearest {each[1]}, {as_spread:.2f} dB with 1.0"
    return figures, line


@dataclass
class Frames:
    """PSNR of all frames of a folder in dB, by file, and what its seams look like in motion."""

    files: dict[str, list[float]] = field(default_factory=dict)
    flicker: SeamFlicker = field(default_factory=SeamFlicker)

    @property
    def mean(self) -> float:
        """Over all frames alike."""
        return float(np.mean([value for values in self.files.values() for value in values]))

    def record(self) -> dict[str, Any]:
        """What stands in the result."""
        files = {name: float(np.mean(values)) for name, values in self.files.items()}
        return {"psnr": self.mean, "seam_flicker": self.flicker.ratio, "psnr_of_files": files}


@cache
def reconstruct(folder: Path, model: str, tries: int | None = None, soft_seams: bool = True) -> Frames:
    """Every file through the model and back as `sweettok eval` does it; None: the model's own tries."""
    tokenizer = load(model, "cpu", "float32")
    assert isinstance(tokenizer, SweetTokTokenizer)
    tokenizer.spec = replace(tokenizer.spec, soft_seams=soft_seams)
    for quantizer in (tokenizer.network.quantize_spatial, tokenizer.network.quantize_temporal):
        quantizer.config = replace(quantizer.config, search=tries or quantizer.config.search)
    found = Frames()
    for entry in find_entries([folder]):
        values, error = found.files.setdefault(entry.name, []), None
        with VideoReader(entry.path) as reader:
            pairs = reconstruct_frames((frame.rgb for frame in reader), reader.info, tokenizer)
            for number, (source, decoded) in enumerate(pairs):
                values.append(psnr(source, decoded))
                change, error = error_change(source, decoded, error)
                if change is not None:
                    found.flicker.add(change, tokenizer.spec.begins_clip(number))
    return found


def compare(chosen: Frames, other: Frames) -> tuple[dict[str, Any], str]:
    """Mean difference over all frames, with its 95 % interval over files."""
    weights = [len(values) for values in chosen.files.values()]
    means = [[float(np.mean(values)) for values in frames.files.values()] for frames in (chosen, other)]
    gain = difference_interval(means[0], means[1], weights)
    figures = {"files": gain.clips, "frames": sum(weights), "gain": asdict(gain)}
    return figures, f"{gain.value:+.3f} dB [{figure(gain.low, 3)}, {figure(gain.high, 3)}]"


def measure_seams(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    soft = reconstruct(options.val, options.model)
    hard = reconstruct(options.val, options.model, soft_seams=False)
    figures, gain = compare(soft, hard)
    figures |= {"reach": seams.REACH, "strength": seams.STRENGTH}
    figures |= {"softened": soft.record(), "as_decoded": hard.record()}
    jumps = " against ".join(figure(frames.flicker.ratio, 3) for frames in (soft, hard))
    line = f"{soft.mean:.3f} dB softened, {hard.mean:.3f} dB as decoded, {gain}"
    return figures, f"{line}; the error changes {jumps} times as much at seams as inside clips"


def measure_tries(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    many = read_config(ModelFolder(resolve_model(options.model))).search
    few = PRESETS["sweettok-small"].search
    first = reconstruct(options.val, options.model)
    second = reconstruct(options.val, options.model, tries=few)
    figures, gain = compare(first, second)
    figures |= {"tries": {many: first.record(), few: second.record()}}
    return figures, f"{first.mean:.3f} dB with {many} tries, {second.mean:.3f} dB with {few}, {gain}"


def measure_start(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    words = read_model(ModelFolder(resolve_model(options.model))).words
    found = {motion: start_decibels(settings, words, options) for motion, settings in MOTIONS.items()}
    figures = {"recipe": "sweettok-small-stage2", "settings": MOTIONS, "psnr": found}
    return figures, ", ".join(f"{value:.2f} dB with motion = {motion!r}" for motion, value in found.items())


def start_decibels(settings: list[str], words: WordPrior, options: argparse.Namespace) -> float:
    """The validation figure of a run of stage 2 before its first step."""
    recipe = load_recipe(2, None, settings)
    torch.manual_seed(recipe.seed)
    network = SweetTok(make_config(recipe.model), words)
    samples = Sampler(find_entries(options.train), recipe.sampling).first(recipe.init_samples)
    with torch.no_grad():
        start_linear(network, to_video(torch.from_numpy(samples.frames)))
    network.eval()

    @torch.inference_mode()
    def shown(frames: np.ndarray) -> np.ndarray:
        return to_frames(network(to_video(torch.from_numpy(frames))).reconstruction).numpy()

    return validation_psnr(find_entries([options.val]), recipe.frames, network.config.multiple, shown)


PARTS: dict[str, Callable[[argparse.Namespace], tuple[dict[str, Any], str]]] = {
    "pairs": measure_pairs,
    "seams": measure_seams,
    "tries": measure_tries,
    "start": measure_start,
}


if __name__ == "__main__":
    main()
