"""Seconds that the published networks of every family take to encode and decode a 17x256x256 clip here.

    python benchmarks/families.py
    python benchmarks/families.py --networks omnitokenizer compact --repeats 5

Networks have their published sizes and random weights, float32, and run on ``--threads`` threads, each in
a process of its own, once to warm up and then ``--repeats`` times (VidTok: once, cold); the median counts,
codebooks are projected before. Beside it stand the published implementations' own times on a 2-core x86-64
machine with AVX2 (2 threads, float32, torch 2.13), their median and the best that was seen: it was another
machine, so ``matmul`` is what this one reaches in a plain 2048x2048 product. Writes
``benchmarks/results/families.json``.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from machine import RESULTS, describe


@dataclass(frozen=True)
class Published:
    """Of the published implementation: seconds, the best that was seen of them, 10^9 operations a clip."""

    encode: float
    decode: float
    best_encode: float
    best_decode: float
    encode_gflop: float
    decode_gflop: float


PUBLISHED = {
    "omnitokenizer": Published(7.0, 6.3, 7.0, 4.5, 285.7, 305.4),
    "compact": Published(13.7, 20.9, 8.8, 16.9, 505.1, 1026.0),
    "vidtok-fsq-causal-488-32768": Published(133, 197, 133, 197, 5823.4, 14867.0),
    "vidtok-fsq-causal-41616-262144": Published(153, 191, 153, 191, 6699.4, 14703.4),
}


_COLUMNS = ("s", "published", "best", "times", "best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="of networks other than VidTok's")
    parser.add_argument("--one", choices=list(PUBLISHED), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.threads, options.repeats)))
        return
    rows = []
    columns = (
        "encode s",
        "published",
        "best",
        "times",
        "best",
        "decode s",
        "published",
        "best",
        "times",
        "best",
    )
    print(f"{'network':<32}" + "".join(f" {column:>9}" for column in columns))
    for name in options.networks:
        command = [sys.executable, __file__, "--one", name]
        command += ["--threads", str(options.threads), "--repeats", str(options.repeats)]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        rows.append(row)
        cells = [f"{name:<32}"]
        for half in ("encode", "decode"):
            published = row["published"]
            cells += [f"{row[half]:9.2f}", f"{published[half]:9.1f}", f"{published['best_' + half]:9.1f}"]
            cells += [f"{row[half + key]:8.1f}x" for key in ("_faster", "_faster_than_best")]
        print(" ".join(cells), flush=True)
    path = RESULTS / "families.json"
    known = json.loads(path.read_text())["rows"] if path.exists() else []
    measured = {row["network"] for row in rows}
    rows += [row for row in known if row["network"] not in measured]
    rows.sort(key=lambda row: list(PUBLISHED).index(row["network"]))
    path.write_text(
        json.dumps({"threads": options.threads, "rows": rows, "machine": describe()}, indent=1) + "\n"
    )
    print(f"written to {path}")


def measure(name: str, threads: int, repeats: int) -> dict[str, Any]:
    """One network, in this process."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    matmul = product_speed()
    vidtok = name.startswith("vidtok")
    encode, decode = build(name)
    limit = 1.0 if vidtok else 0.5
    video = torch.rand(1, 3, 17, 256, 256).mul_(2 * limit).sub_(limit)
    times: list[tuple[float, float]] = []
    with torch.inference_mode():
        for _ in range(1 if vidtok else 1 + repeats):
            start = time.perf_counter()
            tokens = encode(video)
            between = time.perf_counter()
            decoded = decode(tokens)
            times.append((between - start, time.perf_counter() - between))
            assert decoded.shape == video.shape
    warm = times[0 if vidtok else 1 :]
    encoding, decoding = (statistics.median(column) for column in zip(*warm, strict=True))
    known = PUBLISHED[name]
    return {
        "network": name,
        "encode": encoding,
        "decode": decoding,
        "runs": warm,
        "published": asdict(known),
        "encode_faster": known.encode / encoding,
        "decode_faster": known.decode / decoding,
        "encode_faster_than_best": known.best_encode / encoding,
        "decode_faster_than_best": known.best_decode / decoding,
        "matmul_gflops": matmul,
        # Of what is published, not of what runs here: some of that is not done.
        "encode_per_matmul": known.encode_gflop / encoding / matmul,
        "decode_per_matmul": known.decode_gflop / decoding / matmul,
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def product_speed(side: int = 2048, repeats: int = 5) -> float:
    """10^9 operations a second of a float32 matrix product: the best of some."""
    import torch

    left, right = torch.rand(side, side), torch.rand(side, side)
    best = 1e9
    for _ in range(repeats):
        start = time.perf_counter()
        _ = left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best / 1e9


def build(name: str) -> tuple[Any, Any]:
    """Encoding video to tokens and decoding tokens to video, by a network with random weights."""
    if name == "omnitokenizer":
        from sweettok_cli.models.omnitokenizer.config import OmniConfig
        from sweettok_cli.models.omnitokenizer.network import OmniTokenizer

        omni = OmniTokenizer(OmniConfig()).eval()
        return omni.encode, omni.decode
    if name == "compact":
        import numpy as np

        from sweettok_cli.codebook.prior import WordGraph, WordPrior
        from sweettok_cli.models.sweettok.config import SweetTokConfig
        from sweettok_cli.models.sweettok.network import SweetTok

        def blank_words(modifiers: int, heads: int) -> WordGraph:
            vectors, edges = np.zeros((modifiers + heads, 32), np.float32), np.zeros((2, 1), np.int64)
            return WordGraph([""] * modifiers, [""] * heads, vectors, edges)

        # As many words as published; vectors of 32 numbers and no edges, which cost nothing once projected.
        words = WordPrior(blank_words(5078, 5403), blank_words(1872, 9267))
        network = SweetTok(SweetTokConfig(), words).eval()
        network.freeze_codebook()
        return network.encode, lambda ids: network.decode(ids.spatial, ids.temporal, 256, 256)
    from sweettok_cli.models.vidtok.config import VidTokConfig
    from sweettok_cli.models.vidtok.network import VidTok

    vidtok = VidTok(VidTokConfig.from_name(name)).eval()
    return vidtok.encode, vidtok.decode


if __name__ == "__main__":
    main()
