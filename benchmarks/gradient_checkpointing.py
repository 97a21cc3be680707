"""Memory and time of a step of training, with and without `gradient_checkpointing`.

    python benchmarks/gradient_checkpointing.py
    python benchmarks/gradient_checkpointing.py --networks sweettok-small --threads 1

One clip of 17 frames of random values, forwards and backwards in float32, random weights, each in a process
of its own. `kept` is what autograd holds between the two, `peak` the memory that the process took at most,
less what it had with the network and the clip. Prints a table and writes
``benchmarks/results/gradient_checkpointing.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import RESULTS, describe

WORDS = Path(__file__).resolve().parent.parent / "weights" / "sweettok-small"
#: Networks, and the side of the clip in pixels.
NETWORKS = {"sweettok-small": 128, "compact": 256, "vidtok-small": 128, "vidtok-fsq-causal-488-262144": 128}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", choices=list(NETWORKS), help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.threads, options.again)))
        return
    print(f"{'network':<30} {'clip':>10} {'kept MiB':>17} {'peak MiB':>17} {'seconds':>15}")
    rows = []
    for name in options.networks:
        side, pair = NETWORKS[name], []
        for again in ([], ["--again"]):
            command = [sys.executable, __file__, "--one", name, "--threads", str(options.threads), *again]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            pair.append(json.loads(done.stdout))
        rows.append({"network": name, "side": side, "plain": pair[0], "checkpointing": pair[1]})
        cells = [" -> ".join(f"{one[key]:.{digits}f}" for one in pair) for key, digits in COLUMNS.items()]
        print(
            f"{name:<30} {f'17x{side}x{side}':>10} {cells[0]:>17} {cells[1]:>17} {cells[2]:>15}", flush=True
        )
    path = RESULTS / "gradient_checkpointing.json"
    path.write_text(
        json.dumps({"threads": options.threads, "rows": rows, "machine": describe()}, indent=1) + "\n"
    )
    print(f"written to {path}")


COLUMNS = {"kept_mib": 0, "peak_mib": 0, "seconds": 1}


def measure(name: str, threads: int, again: bool) -> dict[str, Any]:
    """One step, in this process."""
    import psutil
    import torch

    from sweettok_cli.training.blocks import recompute

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, apply = build(name)
    if again:
        recompute(network)
    video = torch.rand(1, 3, 17, NETWORKS[name], NETWORKS[name]) - 0.5
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.layout == torch.strided:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    process, over = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = apply(video).square().mean()
    total = sum(kept.values())
    loss.backward()
    seconds = time.perf_counter() - begun
    over.set()
    watcher.join()
    return {"kept_mib": total / 2**20, "peak_mib": (peak - before) / 2**20, "seconds": seconds}


def build(name: str) -> tuple[Any, Callable[[Any], Any]]:
    """A network in training mode, and what it makes of a clip."""
    if "vidtok" in name:
        from sweettok_cli.models.vidtok.config import make_config
        from sweettok_cli.models.vidtok.network import VidTok

        vidtok = VidTok(make_config({"preset": name}))
        return vidtok, lambda video: vidtok(2 * video).reconstruction
    from sweettok_cli.models.sweettok.config import make_config as make_sweettok
    from sweettok_cli.models.sweettok.folder import read_words_of
    from sweettok_cli.models.sweettok.network import SweetTok

    sweettok = SweetTok(make_sweettok({"preset": name}), read_words_of(WORDS))
    return sweettok, lambda video: sweettok(video).reconstruction


if __name__ == "__main__":
    main()
