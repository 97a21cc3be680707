"""PSNR, SSIM, true bits and codebook use of a model over a folder of clips, beside codecs at the same bits.

    python benchmarks/fidelity.py VAL
    python benchmarks/fidelity.py VAL --baseline x264,x265
    python benchmarks/fidelity.py VAL --model runs/mine/model --output mine.json

Runs `sweettok eval VAL --json` and writes its record, which names the machine and the date, to
``benchmarks/results/fidelity.json``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from machine import RESULTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="videos to measure on")
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--baseline", help="codecs, such as x264,x265,av1")
    parser.add_argument("--output", type=Path, default=RESULTS / "fidelity.json")
    arguments = parser.parse_args()
    command = ["eval", str(arguments.folder), "--model", arguments.model, "--json", "--fresh"]
    if arguments.baseline:
        command += ["--baseline", arguments.baseline]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", *command], stdout=subprocess.PIPE, check=True
    )
    record = {
        **json.loads(done.stdout),
        "command": shlex.join(["sweettok", "eval", "VAL", *command[2:]]),
        "minutes": round((time.perf_counter() - start) / 60, 2),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for method in record["contenders"]:
        psnr, ssim = (method["summary"][name] for name in ("psnr", "ssim"))
        print(
            f"{method['name']}: {psnr['value']:.2f} dB PSNR [{psnr['low']:.2f}, {psnr['high']:.2f}], "
            f"{ssim['value']:.4f} SSIM over {record['data']['frames']} frames"
        )
    print(arguments.output)


if __name__ == "__main__":
    main()
