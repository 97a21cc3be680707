"""How late tokens of live video are, and how many bytes of a far file a part of it takes.

    python benchmarks/input.py
    python benchmarks/input.py --model sweettok-small --seconds 20

Live: frames of an example, its middle 256x256 over and over, are written as YUV4MPEG2 into the stdin of
``sweettok encode - --stream``, one at a time and at their rate; a line states how long after its last frame
the tokens of a clip were there. Far: an MP4 of ten minutes, the packets of an example over and over, is read
through HTTP from this machine, ten seconds of its middle, and whole; bytes are those that the server sends,
seconds those of reading and decoding, without a model. Prints a table and writes
``benchmarks/results/input.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from machine import EXAMPLES, RESULTS, describe

EXAMPLE = EXAMPLES / "mdn+shared-assets__000.mp4"
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sweettok-small")
    parser.add_argument("--seconds", type=float, default=20, help="of live video")
    parser.add_argument("--minutes", type=float, default=10, help="of the far file")
    parser.add_argument("--output", type=Path, default=RESULTS / "input.json")
    options = parser.parse_args()
    live = [
        measure_live(options.model, rate, options.seconds, more)
        for rate, more in ((30, ["--fixed"]), (10, ["--fixed"]), (10, []))
    ]
    for row in live:
        late = f"{row['latency']:.2f} s late ({row['least']:.2f} to {row['most']:.2f})"
        how = row["options"] or "default"
        clips = f"{row['clips']:>3} clips of {row['clip_seconds']:.2f} s"
        print(f"{row['rate']:>3} fps {how:<8} {clips}: {late}; load {row['load']:.1f}")
    far = measure_far(options.minutes)
    for row in far:
        sent, size = row["sent"] / 1e6, row["size"] / 1e6
        print(f"{row['what']:<24} {sent:>8.2f} of {size:.2f} MB, {row['seconds']:.1f} s")
    result = {"model": options.model, "side": SIDE, "live": live, "far": far, "machine": describe()}
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.output}")


def measure_live(model: str, rate: int, seconds: float, more: list[str]) -> dict[str, Any]:
    """Latencies of the clips of so many seconds at a rate; the first, slower one is told apart."""
    command = [sys.executable, "-m", "sweettok_cli", "encode", "-", "--stream", "-q", "-m", model, *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        writer = threading.Thread(target=play, args=(running.stdin, rate, int(seconds * rate)))
        writer.start()
        lines = [json.loads(line) for line in running.stdout]
        writer.join()
    waits = [line["latency"] for line in lines[1:]]
    begins, ends = lines[0]["seconds"]
    return {
        "load": os.getloadavg()[0],
        "rate": rate,
        "options": " ".join(more),
        "clips": len(lines),
        "clip_seconds": ends - begins,
        "first": lines[0]["latency"],
        "latency": statistics.mean(waits),
        "least": min(waits),
        "most": max(waits),
    }


def play(pipe: IO[bytes], rate: int, count: int) -> None:
    """Write frames when they are due; where the other side is slow, that is later."""
    from sweettok_cli.video import VideoReader

    frames = []
    with VideoReader(EXAMPLE) as reader:
        for frame in reader:
            top, left = (frame.rgb.shape[0] - SIDE) // 2, (frame.rgb.shape[1] - SIDE) // 2
            cut = np.ascontiguousarray(frame.rgb[top : top + SIDE, left : left + SIDE])
            frames.append(
                av.VideoFrame.from_ndarray(cut, format="rgb24").to_ndarray(format="yuv420p").tobytes()
            )
    pipe.write(f"YUV4MPEG2 W{SIDE} H{SIDE} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        pipe.write(b"FRAME\n" + frames[number % len(frames)])
        pipe.flush()
    pipe.close()


def measure_far(minutes: float) -> list[dict[str, Any]]:
    """Bytes and seconds that a part of a far file takes, and all of it."""
    from sweettok_cli.video import VideoReader
    from sweettok_cli.video.remote import RemoteFile
    from sweettok_cli.video.selection import Selection

    with tempfile.TemporaryDirectory() as folder:
        path = repeated(Path(folder, "long.mp4"), minutes * 60)
        data = path.read_bytes()
    sent = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()

        def do_GET(self) -> None:
            nonlocal sent
            start, end = map(int, re.findall(r"\d+", self.headers["Range"]))
            part = data[start : end + 1]
            self.send_response(206)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)
            sent += len(part)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    middle = Fraction(round(minutes * 30))
    rows = []
    for what, selection in (
        ("ten seconds of it", Selection(start=middle, end=middle + 10)),
        ("a frame a second of it", Selection(fps=1)),
        ("all of it", Selection()),
    ):
        sent, start = 0, time.perf_counter()
        file = RemoteFile(f"http://127.0.0.1:{server.server_port}/long.mp4")
        with VideoReader(file, selection=selection) as reader:
            frames = sum(1 for _ in reader)
        seconds = time.perf_counter() - start
        file.close()
        rows.append({"what": what, "size": len(data), "sent": sent, "frames": frames, "seconds": seconds})
    server.shutdown()
    return rows


def repeated(path: Path, seconds: float) -> Path:
    """A video that lasts so long: the packets of the example again and again."""
    with av.open(str(EXAMPLE)) as source, av.open(str(path), "w") as out:
        stream = source.streams.video[0]
        target = out.add_stream_from_template(stream)
        length, shift = stream.duration, 0
        assert length is not None and stream.time_base is not None
        while shift * stream.time_base < seconds:
            source.seek(0, stream=stream)
            for packet in source.demux(stream):
                if packet.size and packet.dts is not None and packet.pts is not None:
                    packet.dts, packet.pts, packet.stream = packet.dts + shift, packet.pts + shift, target
                    out.mux(packet)
            shift += length
    return path


if __name__ == "__main__":
    main()
