"""What `AutoencoderVidTok` of diffusers computes with VidTok's weights, against the published network.

    pip install "diffusers==0.42.*"
    python benchmarks/diffusers_vidtok.py

All weights load under their published names, but only the non-causal and the v1.1 networks come out right
(1e-5): v1.0 causal ones do so once zero padding and nearest interpolation are forced upon them from outside.
Of v1.1 the wrapper itself agrees where the frames are 1 + k times the factor, chunked only with overlap, and
two chunked calls on one module spoil each other, for their state lies in the module.

A golden case (tests/parity/rule.py says where they lie) is loaded strictly. ``h`` is the latent before the
regulariser; the decoder starts from the stored latent, and any alignment of its frames counts; the wrapper
pads, encodes, decodes and crops in its own way (not tried with v1.0). Prints a table and writes
``results/diffusers_vidtok.json``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from machine import RESULTS, describe
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.parity.rule import Case, case_folder

Call = Callable[[], Tensor]
ALLOWED = 1e-3
CLEAR = 1e-4  # a latent nearer than this to a rounding edge may fall on either side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="vidtok_*", help="pattern of the golden cases to take")
    parser.add_argument("--threads", type=int, default=2, help="threads of the timed runs")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of a 17x128x128 clip; 0: none")
    parser.add_argument("--output", type=Path, default=RESULTS / "diffusers_vidtok.json")
    options = parser.parse_args()

    try:
        version = metadata.version("diffusers")
    except metadata.PackageNotFoundError:
        raise SystemExit('error: diffusers is missing: pip install "diffusers==0.42.*"') from None
    root = case_folder("vidtok_kl_causal_488_4chn").parent
    found = [Case(folder) for folder in sorted(root.glob(options.cases)) if folder.name.startswith("vidtok_")]
    found = [case for case in found if "config" in case.manifest]
    if not found:
        raise SystemExit(f"error: no {options.cases} in {root}: name the full set in SWEETTOK_REFERENCE")
    result = {"diffusers": version, "allowed": ALLOWED, "cases": [], "speed": None, "machine": describe()}
    columns = ("h", "forced", "indices", "decoder", "forced", "wrapper")
    print(f"{'case, input':<44}", *(f"{name:>8}" for name in columns), flush=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(os.getpid).result()  # starts it while this process is small: it would inherit the peak
        for case in found:
            with torch.inference_mode():
                result["cases"].append(measure_case(case))
            print_case(result["cases"][-1])
        if options.repeats:
            result["speed"] = pool.submit(measure_speed, options.threads, options.repeats).result()
            print(f"17x128x128: {result['speed']}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


def print_case(case: dict[str, Any]) -> None:
    for row in case["inputs"]:
        forced, decoder, wrapper = row["forced"], row["decoder"]["error"], row["wrapper"]["error"]
        latents = (row["h_error"], forced.get("h_error"), row["indices_equal"])
        values = (*latents, decoder, forced.get("decoder_error_both"), wrapper)
        cells = [f"{'-' if value is None else format(value, '.2g'):>8}" for value in values]
        print(f"{case['case']:<34}{row['input']:>10}", *cells, "   holds" if row["holds"] else "   FAILS")
    print(f"{'changed by taking turns:':>44} {case['interleaved']}", flush=True)


def build(case: Case) -> nn.Module:
    from diffusers import AutoencoderVidTok

    parts = case.manifest["config"]["params"]
    encoder, decoder = (parts[f"{side}_config"]["params"] for side in ("encoder", "decoder"))
    same = ("in_channels", "ch", "ch_mult", "z_channels", "double_z", "num_res_blocks")
    return AutoencoderVidTok(
        **{key: encoder[key] for key in same},
        **{key: encoder.get(key) for key in ("spatial_ds", "tempo_ds")},
        **{key: decoder.get(key) for key in ("spatial_us", "tempo_us")},
        regularizer="fsq" if "FSQ" in parts["regularizer_config"]["target"] else "kl",
        codebook_size=8 ** encoder["z_channels"],
        is_causal="Causal" in parts["encoder_config"]["target"],
    ).eval()


def measure_case(case: Case) -> dict[str, Any]:
    model, weights = build(case), case.weights()
    model.load_state_dict(weights, strict=True)  # the published names are diffusers' names: nothing to rename
    found = [name.removesuffix(":z") for name in case.manifest["outputs"] if name.endswith(":z")]
    result: dict[str, Any] = {"case": case.manifest["case"], "keys_loaded_strictly": len(weights)}
    result["inputs"] = rows = [measure_input(model, case, key) for key in found]
    result["interleaved"] = measure_interleaving(model, case)
    result["holds"] = all(row["holds"] for row in rows)
    return result | {"wrapper_holds": all(row["wrapper"]["holds"] for row in rows)}


def measure_input(model: Any, case: Case, key: str) -> dict[str, Any]:
    """One golden input: encoded, decoded from the stored latent, and through the wrapper as a whole."""
    tiled, fsq, v11 = key.startswith("tile"), model.regularizer == "fsq", "v1_1" in case.manifest["case"]
    x = case.input_video(f"{case.manifest['case']}:{key.replace('ov', '')}")
    padded, stored = pad(model, x, v11), case.data[f"{key}:z"]
    model.use_tiling = tiled
    model._set_first_chunk(True)
    h = model.tiled_encode(padded) if tiled else model.encoder(padded)
    z, indices = model.regularization(h) if fsq else (h.chunk(2, dim=1)[0], None)
    row: dict[str, Any] = {"input": key, "shape": list(x.shape), "z_error": case.error(f"{key}:z", z)}
    row["h_error"] = case.error(f"{key}:h", h) if f"{key}:h" in case.data else None
    row |= {"indices_equal": None, "forced": {}}
    row |= compare_indices(model, case, key, indices) if fsq else {}
    sound = row["indices_equal_where_clear"] == 1 if fsq else row["z_error"] <= ALLOWED
    row["decoder"] = row["wrapper"] = {"error": None, "holds": False}
    if f"{key}:recon" in case.data:
        row["decoder"] = align(case, f"{key}:recon", decode(model, stored, tiled))
        sound &= row["decoder"]["holds"]
        if model.is_causal and not v11:
            row["forced"] = measure_forced(model, case, key, padded)
        else:
            whole = f"{key}:forward" if v11 else f"{key}:recon"
            row["wrapper"] = align(case, whole, model(x, sample_posterior=False).sample)
    if tiled and "ov" not in key:
        row["chunks_by_hand"] = align(case, f"{key}:recon", decode_chunks(model, stored))
    model.use_tiling = False
    return row | {"holds": bool(sound)}


def pad(model: Any, x: Tensor, v11: bool) -> Tensor:
    """Copies of the first frame in front, as many as the published encoder of this version puts there."""
    ratio = model.temporal_compression_ratio
    if not model.is_causal or x.shape[2] % ratio == 0:
        return x
    count = ratio - x.shape[2] % ratio if v11 else ratio - 1
    return torch.cat([x[:, :, :1].expand(-1, -1, count, -1, -1), x], dim=2)


def compare_indices(model: Any, case: Case, key: str, indices: Tensor) -> dict[str, Any]:
    stored = case.data[f"{key}:indices"]
    gap = case.data.get(f"{key}:gap", torch.ones(stored.shape))
    equal = (indices == stored).float()
    result = {"indices_equal": equal.mean().item()}
    result["indices_equal_where_clear"] = equal[gap > CLEAR].mean().item()
    result["latent_of_stored_indices_error"] = case.error(f"{key}:z", model.indices_to_latent(stored))
    if f"{key}:h" in case.data:
        alone = model.regularization(case.data[f"{key}:h"])[1]
        result["indices_equal_from_stored_h"] = (alone == stored).float().mean().item()
    return result


def decode(model: Any, z: Tensor, tiled: bool = False) -> Tensor:
    """All frames that the decoder makes: the wrapper's own ``decode`` drops the first ones."""
    model._set_first_chunk(True)
    return model.tiled_decode(z) if tiled else model.decoder(z)


def decode_chunks(model: Any, z: Tensor) -> Tensor:
    """The wrapper's chunks without the latent ahead, which it cannot be told to leave out."""
    model._set_cache_offset([model.decoder], 0)
    parts = []
    for number, (start, end) in enumerate(model.build_chunk_start_end(z.shape[2], decoder_mode=True)):
        model._set_first_chunk(number == 0)
        parts.append(model.decoder(z[:, :, start:end]))
    return torch.cat(parts, dim=2)


def align(case: Case, name: str, video: Tensor) -> dict[str, Any]:
    """The error at the frame offset that fits best, None where ``video`` is too short."""
    wanted, made = case.manifest["outputs"][name]["shape"][2], video.shape[2]
    errors = ((case.error(name, video[:, :, i : i + wanted]), i) for i in range(made - wanted + 1))
    error, offset = min(errors, default=(None, None))
    holds = error is not None and error <= ALLOWED
    return {"error": error, "offset": offset, "frames": made, "frames_wanted": wanted, "holds": holds}


@contextmanager
def forced(model: Any, nearest: bool) -> Iterator[None]:
    """The ways of v1.0 put into a model from outside: zero frames in front, maybe nearest frames upwards."""

    def put_zeros(module: Any, inputs: tuple[Tensor]) -> None:
        batch, channels, _, *space = inputs[0].shape
        frames = getattr(module, "time_pad", 1) or 1
        module.is_first_chunk = False
        module.causal_cache = inputs[0].new_zeros(batch, channels, frames, *space)

    cached = [module for module in model.modules() if hasattr(module, "causal_cache")]
    up = [module for module in cached if hasattr(module, "interpolation_mode")]
    hooks = [module.register_forward_pre_hook(put_zeros) for module in cached if module not in up]
    for module in up if nearest else ():
        module.enable_cached, module.interpolation_mode = False, "nearest"
    yield
    for hook in hooks:
        hook.remove()
    for module in up:
        module.enable_cached, module.interpolation_mode = True, "trilinear"


def measure_forced(model: Any, case: Case, key: str, padded: Tensor) -> dict[str, float]:
    with forced(model, nearest=True):
        result = {"h_error": case.error(f"{key}:h", model.encoder(padded))}
    for name, nearest in {"zeros": False, "both": True}.items():
        with forced(model, nearest):
            video = decode(model, case.data[f"{key}:z"])
        result[f"decoder_error_{name}"] = align(case, f"{key}:recon", video)["error"]
    return result


def measure_interleaving(model: Any, case: Case) -> dict[str, float | str]:
    """How far two calls come off their lone results when they take turns on one module."""
    z = next(case.data[name] for name in case.manifest["outputs"] if name.endswith(":z"))
    first, second = z[..., :2, :2], z[..., -2:, -2:]
    video = torch.linspace(-1, 1, 3 * 24 * 16 * 16).reshape(1, 3, 24, 16, 16)
    layers = [module for module in model.modules() if hasattr(module, "is_first_chunk")] or [model.decoder]
    chunks = [model.encoder, model.decoder]
    result = {"untiled": take_turns(lambda: model.decode(first), lambda: model.decode(second), layers)}
    model.use_tiling = True
    result["tiled"] = take_turns(lambda: model.decode(first), lambda: model.decode(second), chunks)
    result["encode"] = take_turns(lambda: model.decode(first), lambda: model._encode(video), chunks)
    model.use_tiling = False
    return result


def take_turns(one: Call, other: Call, modules: list[nn.Module]) -> float | str:
    """Largest change, or the error's name, of two threads that swap before each call of a module."""
    gates, me = (threading.Semaphore(1), threading.Semaphore(0)), threading.local()
    finished: set[int] = set()

    def swap(*_: object) -> None:
        if 1 - me.number not in finished:
            gates[1 - me.number].release()
            gates[me.number].acquire()

    def work(number: int, call: Call) -> Tensor:
        me.number = number
        gates[number].acquire()
        try:
            with torch.inference_mode():
                return call()
        finally:
            finished.add(number)
            gates[1 - number].release()

    alone = one(), other()
    hooks = [module.register_forward_pre_hook(swap) for module in modules]
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(work, number, call) for number, call in enumerate((one, other))]
    for hook in hooks:
        hook.remove()
    failed = [type(call.exception()).__name__ for call in calls if call.exception()]
    changes = (call.result() - lone for call, lone in zip(calls, alone, strict=True) if not failed)
    return failed[0] if failed else max(change.abs().max().item() for change in changes)


def measure_speed(threads: int, repeats: int) -> dict[str, Any]:
    """Median seconds and peak memory of a network shaped like vidtok_fsq_causal_488_32768, in float32."""
    from diffusers import AutoencoderVidTok

    torch.set_num_threads(threads)
    load = os.getloadavg()[0]
    model = AutoencoderVidTok(z_channels=5, double_z=False, regularizer="fsq", codebook_size=8**5).eval()
    clip = torch.rand(1, 3, 17, 128, 128) * 2 - 1
    result: dict[str, Any] = {"clip": list(clip.shape), "threads": threads, "repeats": repeats, "load": load}
    calls = {"encode": lambda z: model.encode(pad(model, clip, v11=False))[0], "decode": model.decode}
    with torch.inference_mode():
        model(clip[..., :32, :32])  # to warm up
        z = clip
        for name, call in calls.items():
            seconds, processor = [], time.process_time()
            for _ in range(repeats):
                start = time.perf_counter()
                made = call(z)
                seconds.append(time.perf_counter() - start)
            z, busy = made, (time.process_time() - processor) / repeats
            result[name] = {"seconds": statistics.median(seconds), "range": [min(seconds), max(seconds)]}
            result[name]["cpu_seconds"] = busy  # of all threads: what a loaded machine does not stretch
    per_mib = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kibibytes
    return result | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mib}


if __name__ == "__main__":
    main()
