"""Peak memory of `sweettok encode` on a long video and on a short one.

    python benchmarks/memory.py                      10 minutes against 10 seconds: 18000 frames, an hour
    python benchmarks/memory.py --minutes 1 --decode
    python benchmarks/memory.py --sizes 256x256x272,1280x720x34,3840x2160x18 --output sizes.json

An example clip, centre 256x256, is played forwards and backwards until the video is long enough. Each command
runs in a process of its own, and its peak resident memory is what the system counted. Prints a table and
writes ``benchmarks/results/memory.json``; the exit code is 1 where the long video takes over 10 % more.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from machine import EXAMPLES, RESULTS, describe

EXAMPLE = EXAMPLES / "mdn+shared-assets__000.mp4"
RATE = 30
ALLOWED = 0.10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="length of the long video")
    parser.add_argument("--seconds", type=float, default=10, help="length of the short video")
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--batch-clips", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="auto", help="as for sweettok encode")
    parser.add_argument("--decode", action="store_true", help="also measure `sweettok decode` on the results")
    parser.add_argument("--sizes", help="encode and decode such WxHxFRAMES instead")
    parser.add_argument("--output", type=Path, default=RESULTS / "memory.json")
    options = parser.parse_args()

    if options.sizes:
        measure_sizes(options)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (options.seconds, options.minutes * 60):
            video = Path(folder, f"{seconds:g}s.mp4")
            make_video(video, round(seconds * RATE))
            commands = [("encode", video, video.with_suffix(".npz"))]
            if options.decode:
                commands.append(
                    ("decode", video.with_suffix(".npz"), Path(folder, f"{seconds:g}s.decoded.mp4"))
                )
            for command, source, target in commands:
                row = {"command": command, "video_seconds": seconds, "frames": round(seconds * RATE)}
                row |= run(command, source, target, options)
                rows.append(row)
                print(
                    f"{command} {row['video_seconds']:>6g} s of video, {row['frames']:>6} frames: "
                    f"peak {row['peak_mib']:7.1f} MiB, {row['seconds']:.1f} s",
                    flush=True,
                )
    growth = {}
    for command in dict.fromkeys(row["command"] for row in rows):
        short, long = (row["peak_mib"] for row in rows if row["command"] == command)
        growth[command] = long / short - 1
        verdict = "within" if growth[command] <= ALLOWED else "MORE THAN"
        print(
            f"{command}: the long video takes {100 * growth[command]:+.1f} %, {verdict} {100 * ALLOWED:.0f} %"
        )
    result = {
        "model": options.model,
        "batch_clips": options.batch_clips,
        "dtype": options.dtype,
        "threads": options.threads,
        "rows": rows,
        "growth": growth,
        "machine": describe(),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")
    if any(more > ALLOWED for more in growth.values()):
        raise SystemExit(1)


def measure_sizes(options: argparse.Namespace) -> None:
    """Peak memory of every size, and the processor's time a pixel, which other work on the machine spares."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes.split(","):
            width, height, frames = map(int, size.split("x"))
            video, tokens = Path(folder, f"{size}.mp4"), Path(folder, f"{size}.npz")
            # Not in this process, whose own peak a command would begin with.
            maker = multiprocessing.get_context("spawn").Process(
                target=make_video, args=(video, frames, width, height)
            )
            maker.start()
            maker.join()
            decoded = Path(folder, f"{size}.decoded.mp4")
            for command, source, target in (("encode", video, tokens), ("decode", tokens, decoded)):
                row = {"command": command, "width": width, "height": height, "frames": frames}
                row |= run(command, source, target, options)
                row["cpu_us_a_pixel"] = 1e6 * row["cpu_seconds"] / (width * height * frames)
                rows.append(row)
                print(
                    f"{command} {size}: peak {row['peak_mib']:.0f} MiB, {row['seconds']:.1f} s, processor "
                    f"{row['cpu_seconds']:.1f} s, {row['cpu_us_a_pixel']:.3f} us a pixel",
                    flush=True,
                )
    result = {name: getattr(options, name) for name in ("model", "batch_clips", "dtype", "threads")}
    options.output.write_text(
        json.dumps(result | {"rows": rows, "machine": describe()}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"written to {options.output}")


def make_video(path: Path, frames: int, width: int = 256, height: int = 256) -> None:
    """Write ``frames`` frames, 30 a second."""
    from PIL import Image

    from sweettok_cli.video import VideoWriter

    with VideoWriter(path, width, height, Fraction(RATE), crf=23) as writer:
        for frame in itertools.islice(swing(), frames):
            writer.write(np.asarray(Image.fromarray(frame).resize((width, height))))


def swing() -> Iterator[np.ndarray]:
    """The example forwards and backwards for ever, uint8 ``[256, 256, 3]``: no cut where it turns."""
    from sweettok_cli.video import VideoReader

    with VideoReader(EXAMPLE) as reader:
        clip = [frame.rgb for frame in reader]
    top, left = (clip[0].shape[0] - 256) // 2, (clip[0].shape[1] - 256) // 2
    clip = [np.ascontiguousarray(frame[top : top + 256, left : left + 256]) for frame in clip]
    return itertools.cycle(clip + clip[-2:0:-1])


def run(command: str, source: Path, target: Path, options: argparse.Namespace) -> dict[str, float]:
    """Seconds, by the clock and of the processor, and peak resident MiB of one command in its own process."""
    arguments = [command, str(source), "-o", str(target), "--quiet", "--device", "cpu"]
    arguments += ["--batch-clips", str(options.batch_clips), "--model", options.model]
    arguments += ["--dtype", options.dtype]
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sweettok_cli", *arguments], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"sweettok {command} failed with exit code {process.returncode}")
    per_mib = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kibibytes
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / per_mib,
    }


if __name__ == "__main__":
    main()
