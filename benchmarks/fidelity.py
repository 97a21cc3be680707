"""PSNR, SSIM, true bits and codebook use of a model over a folder of clips.

    python benchmarks/fidelity.py VAL
    python benchmarks/fidelity.py VAL --model runs/mine/model --output mine.json

Runs `sweettok eval VAL --json` and writes what it says to ``benchmarks/results/fidelity.json``, beside the
machine and the date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from machine import RESULTS, describe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="videos to measure on")
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--output", type=Path, default=RESULTS / "fidelity.json")
    arguments = parser.parse_args()
    command = ["eval", str(arguments.folder), "--model", arguments.model, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", *command], stdout=subprocess.PIPE, check=True
    )
    record = {**json.loads(done.stdout), "machine": describe()}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{record['psnr']:.2f} dB PSNR, {record['ssim']:.4f} SSIM over {record['frames']} frames")
    print(arguments.output)


if __name__ == "__main__":
    main()
