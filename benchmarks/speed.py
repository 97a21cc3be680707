"""Seconds to encode and to decode one clip of 17 frames at 256x256.

    python benchmarks/speed.py
    python benchmarks/speed.py --model sweettok-small --threads 2 --repeats 9 --device cpu

One real clip (the first frames of an example, centre 256x256) goes through the model alone, once to warm up
and then ``--repeats`` times; the median counts. Reading and writing files is not part of it. Prints a table
and writes ``benchmarks/results/speed.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import EXAMPLES, RESULTS, describe

EXAMPLE = EXAMPLES / "mdn+shared-assets__000.mp4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--threads", type=int, default=2, help="threads that torch may use")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "auto"])
    parser.add_argument("--output", type=Path, default=RESULTS / "speed.json")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    clip = read_example()
    rows = [measure(options.model, options.device, dtype, options.repeats, clip) for dtype in options.dtypes]
    result = {
        "model": options.model,
        "device": options.device,
        "threads": options.threads,
        "repeats": options.repeats,
        "clip": list(clip.shape),
        "rows": rows,
        "machine": describe(),
    }
    print(f"{'dtype':<10} {'encode s':>9} {'decode s':>9} {'both s':>9} {'decode/encode':>14}")
    for row in rows:
        print(
            f"{row['dtype']:<10} {row['encode']:>9.3f} {row['decode']:>9.3f} {row['both']:>9.3f} "
            f"{row['decode_per_encode']:>14.2f}"
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


def read_example() -> np.ndarray:
    """uint8 ``[1, 17, 256, 256, 3]``."""
    from sweettok_cli.video import read_clip

    frames = read_clip(EXAMPLE, 0, 17)
    top, left = (frames.shape[1] - 256) // 2, (frames.shape[2] - 256) // 2
    return np.ascontiguousarray(frames[None, :, top : top + 256, left : left + 256])


def measure(model: str, device: str, dtype: str, repeats: int, clip: np.ndarray) -> dict[str, Any]:
    """Median, fastest and slowest seconds of one number format."""
    from sweettok_cli.zoo.load import load

    tokenizer = load(model, device, dtype)
    encode: list[float] = []
    decode: list[float] = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        arrays = tokenizer.encode_clips(clip)
        between = time.perf_counter()
        tokenizer.decode_clips(arrays, *clip.shape[2:4])
        encode.append(between - start)
        decode.append(time.perf_counter() - between)
    encode, decode = encode[1:], decode[1:]
    return {
        "dtype": dtype,
        "encode": statistics.median(encode),
        "decode": statistics.median(decode),
        "both": statistics.median(map(sum, zip(encode, decode, strict=True))),
        "decode_per_encode": statistics.median(decode) / statistics.median(encode),
        "encode_range": [min(encode), max(encode)],
        "decode_range": [min(decode), max(decode)],
    }


if __name__ == "__main__":
    main()
