"""Bad input, and what is said of it."""

from __future__ import annotations

import shutil

from bench import Bench
from inputs import BRIEF, PICTURE, VIDEO
from output import untimed


def bad_inputs(bench: Bench) -> None:
    """What cannot be done, and what is said of it."""
    folder, source = bench.work / "bad", bench.work / "in"
    folder.mkdir()
    (folder / "text.mp4").write_text("no video")
    (folder / "text.npz").write_text("no tokens")
    (folder / "empty.npz").touch()
    (folder / "empty.mp4").touch()
    (folder / "nothing").mkdir()
    (folder / "unknown").mkdir()
    (folder / "unknown" / "config.json").write_text('{"format": "other"}')
    (folder / "taken.npz").write_text("taken")
    (folder / "cut.mp4").write_bytes((source / VIDEO).read_bytes()[:900])
    good = folder / "good.npz"
    small, omni = bench.model("sweettok"), bench.model("omnitokenizer")
    made = bench.run("encode", source / BRIEF, "-o", good, "-m", small, "--quiet")
    bench.keep("errors", "a good file", made.code)
    whole = good.read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 255
    (folder / "flipped.npz").write_bytes(bytes(flipped))
    shutil.copytree(small, folder / "damaged")
    weights = bytearray((folder / "damaged" / "model.safetensors").read_bytes())
    weights[-1] ^= 255
    (folder / "damaged" / "model.safetensors").write_bytes(bytes(weights))
    video, run = source / BRIEF, bench.work / "runs" / "refused"
    cases: dict[str, list[object]] = {
        "encode missing": ["encode", folder / "none.mp4"],
        "encode text": ["encode", folder / "text.mp4", "-o", folder / "a.npz", "-m", small],
        "encode empty": ["encode", folder / "empty.mp4", "-o", folder / "a.npz", "-m", small],
        "encode cut": ["encode", folder / "cut.mp4", "-o", folder / "a.npz", "-m", small],
        "encode nothing": ["encode", folder / "nothing", "-m", small],
        "encode over": ["encode", video, "-o", folder / "taken.npz", "-m", small],
        "encode wrong ending": ["encode", video, "-o", folder / "a.mp4", "-m", small],
        "encode unknown model": ["encode", video, "-o", folder / "a.npz", "-m", "no-such-model"],
        "encode no model": ["encode", video, "-o", folder / "a.npz", "-m", folder / "nothing"],
        "encode other format": ["encode", video, "-o", folder / "a.npz", "-m", folder / "unknown"],
        "encode damaged model": ["encode", video, "-o", folder / "a.npz", "-m", folder / "damaged"],
        "encode much overlap": ["encode", video, "-o", folder / "a.npz", "-m", small, "--overlap", 17],
        "encode sample of codes": ["encode", video, "-o", folder / "a.npz", "-m", small, "--sample", 1],
        "encode contradiction": ["encode", video, "--force", "--skip-existing"],
        "encode no option": ["encode", video, "--no-such-option"],
        "encode not on the machine": [
            "encode",
            video,
            "-o",
            folder / "a.npz",
            "-m",
            small,
            "--device",
            "cuda",
        ],
        "decode missing": ["decode", folder / "none.npz"],
        "decode text": ["decode", folder / "text.npz"],
        "decode empty": ["decode", folder / "empty.npz"],
        "decode cut": ["decode", folder / "cut.npz"],
        "decode flipped": ["decode", folder / "flipped.npz"],
        "decode video": ["decode", video],
        "decode by another": ["decode", good, "-m", omni, "-o", folder / "a.npy"],
        "decode to text": ["decode", good, "-m", small, "-o", folder / "a.txt"],
        "decode without model": ["decode", good, "-o", folder / "a.npy", "-m", folder / "none"],
        "info missing": ["info", folder / "none"],
        "info text": ["info", folder / "text.mp4"],
        "info cut": ["info", folder / "cut.npz"],
        "info other format": ["info", folder / "unknown"],
        "words without words": ["words", bench.work / "in" / PICTURE, "-m", omni],
        "roundtrip missing": ["roundtrip", folder / "none.mp4"],
        "eval missing": ["eval", folder / "none"],
        "eval nothing": ["eval", folder / "nothing"],
        "eval text": ["eval", folder / "text.mp4", "-m", small, "--metrics", "psnr"],
        "eval protocol": ["eval", source / "eval", "--protocol", "none"],
        "eval metric": ["eval", source / "eval", "--metrics", "none"],
        "eval codec": ["eval", source / "eval", "--baseline", "none"],
        "train without words": ["train", "--data", source / "clips", "--out", run],
        "train unknown key": ["train", "--data", source / "clips", "--out", run, "--set", "lrr=1"],
        "train resume": ["train", "--data", source / "clips", "--out", run, "--resume"],
        "models verify": ["models", "verify", folder / "damaged"],
        "models verify missing": ["models", "verify", folder / "none"],
        "models push": ["models", "push", folder / "damaged", "someone/something", "--dry-run"],
        "models convert": [
            "models",
            "convert",
            folder / "text.mp4",
            "--as",
            "vidtok",
            "-o",
            folder / "model",
        ],
        "no command": ["nothing"],
    }
    for name, arguments in cases.items():
        ran = bench.run(*arguments)
        bench.keep_json("errors", name, {"code": ran.code, "error": untimed(ran.err), "out": ran.out})
