"""Clips and pictures that everything is measured on."""

from __future__ import annotations

import io
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from bench import Bench
from digests import sha256

WIDTH, HEIGHT, LONG, SHORT = 112, 64, 40, 5
VIDEO, BRIEF, PICTURE, VARYING = "long.mp4", "short.mp4", "picture.png", "varying.mp4"


def make_inputs(bench: Bench) -> None:
    """Clips and pictures, from numbers drawn with fixed seeds."""
    folder = bench.work / "in"
    for name in ("", "eval", "clips", "val"):
        (folder / name).mkdir()
    write_video(folder / VIDEO, scene(1, LONG, WIDTH, HEIGHT), sound=True)
    write_video(folder / BRIEF, scene(2, SHORT, WIDTH, HEIGHT))
    write_video(folder / VARYING, scene(3, 20, WIDTH, HEIGHT), gaps=[40, 40, 60, 25, 35])
    write_picture(folder / PICTURE, scene(4, 1, 100, 70)[0])
    write_picture(folder / "large.png", scene(7, 1, 200, 176)[0])
    write_video(folder / "eval" / "a.mp4", scene(5, 24, 96, 72))
    write_video(folder / "eval" / "b.mp4", scene(6, 19, 80, 64))
    # What training reads: loose clips, and a tar shard of which one clip is shorter than a sample.
    for number in range(3):
        write_video(folder / "clips" / f"loose{number}.mp4", scene(10 + number, 24, 96, 80))
    with tarfile.open(folder / "clips" / "shard.tar", "w") as shard:
        for number, frames in enumerate((30, 9)):
            packed = folder / f"packed{number}.mp4"
            write_video(packed, scene(20 + number, frames, 96, 80))
            member = tarfile.TarInfo(packed.name)
            member.size = packed.stat().st_size
            shard.addfile(member, io.BytesIO(packed.read_bytes()))
    write_video(folder / "val" / "v.mp4", scene(30, 20, 128, 128))
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        bench.keep("inputs", str(file.relative_to(folder)), sha256(file.read_bytes()))


def scene(seed: int, frames: int, width: int, height: int) -> np.ndarray:
    """Blocks and a slope of colour that slide to the right under fine noise: uint8 [frames, h, w, 3]."""
    random = np.random.default_rng(seed)
    blocks = np.kron(random.integers(0, 200, (-(-height // 8), -(-width // 8), 3)), np.ones((8, 8, 1)))
    slope = np.linspace(0, 40, width)[None, :, None]
    picture = (blocks[:height, :width] + slope).astype(np.int64)
    moving = [np.roll(picture, 2 * t, axis=1) + random.integers(0, 9, picture.shape) for t in range(frames)]
    return np.clip(np.stack(moving), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: np.ndarray, sound: bool = False, gaps: list[int] | None = None) -> None:
    """H.264 by one thread at 25 frames a second, or with ``gaps`` milliseconds between frames, repeated."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        now = 0
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = now, Fraction(1, 1000)
            now += gaps[number % len(gaps)] if gaps else 40
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            length = 16000 * len(frames) // 25
            tone = (8000 * np.sin(np.arange(length) * 2 * np.pi * 440 / 16000)).astype(np.int16)
            for start in range(0, length, 1024):
                piece = av.AudioFrame.from_ndarray(
                    tone[None, start : start + 1024], format="s16", layout="mono"
                )
                piece.sample_rate, piece.pts, piece.time_base = 16000, start, Fraction(1, 16000)
                container.mux(audio.encode(piece))
            container.mux(audio.encode(None))


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """A PNG, by PyAV as well."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
