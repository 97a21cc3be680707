"""Token files of every model, what they decode to, and what is said of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from bench import SHIPPED, Bench
from digests import array_facts, video_facts
from inputs import BRIEF, PICTURE, VARYING, VIDEO
from output import keep_command_json, words_of

# Models of which everything is measured; those that stand for a family's other ways, with overlap and short
# clips; of all further ones a video there and back, and what they refuse. Every call costs a start of torch.
FULL = (SHIPPED, "sweettok", "omnitokenizer", "vidtok-fsq-causal-v1.1")
WIDE = (
    *FULL,
    "sweettok-compact",
    "vidtok-fsq-causal",
    "vidtok-kl-causal",
    "vidtok-kl-noncausal",
    "vidtok-kl-v1.1",
)
TO_VIDEO = (SHIPPED, "vidtok-fsq-causal-v1.1")


def measure_model(bench: Bench, name: str) -> None:
    """Token files of all inputs, what they decode to, and what ``info`` says of the model and of one."""
    source, model, tokens = bench.work / "in", bench.model(name), bench.work / "tokens" / name
    full, wide = name in FULL, name in WIDE
    encode(bench, name, "", [source / file for file in (VIDEO, BRIEF, PICTURE, VARYING)])
    if wide:
        encode(bench, name, " overlap 2", [source / VIDEO], "--overlap", 2)
    if name == "vidtok-kl-causal":
        encode(bench, name, " sample 1", [source / VIDEO, source / PICTURE], "--sample", 1)
    if "decoded" in bench.wanted:
        shown = {VIDEO, *([BRIEF, PICTURE] if wide else []), *([VARYING] if full else [])}
        for file in sorted(tokens.rglob("*.npz")):
            if source_of(file) in {Path(each).stem for each in shown}:
                decode(bench, name, file)
        if name in TO_VIDEO:
            decode_to_video(bench, name, tokens / "plain" / "long.npz", model)
    if "info" in bench.wanted:
        keep_command_json(bench, "info", f"{name} json", bench.run("info", model, "--json"))
        token_file = tokens / "plain" / "long.npz"
        found = bench.run("info", token_file, "--json")
        keep_command_json(bench, "info", f"{name} tokens json", found, {"writer"})
        if full:
            bench.keep_text("info", f"{name} text", words_of(bench.run("info", model)))
            bench.keep_text("info", f"{name} tokens text", words_of(bench.run("info", token_file)))
            ran = bench.run("words", token_file, "-m", model, "--top", 5)
            bench.keep_text("info", f"{name} words", words_of(ran))


def source_of(tokens: Path) -> str:
    """The name of what a token file was made of, without any ending."""
    return tokens.name.partition(".")[0]


def decode(bench: Bench, name: str, file: Path) -> None:
    """The pixels of one token file, or why there are none."""
    label = f"{name} {file.parent.name} {source_of(file)}"
    target = bench.work / "decoded" / (label + ".npy")
    target.parent.mkdir(exist_ok=True)
    ran = bench.run("decode", file, "-o", target, "-m", bench.model(name), "--quiet", "--batch-clips", 2)
    if ran.code:
        bench.keep("decoded", label, {"code": ran.code, "error": ran.err})
        return
    bench.keep("decoded", label, array_facts(np.load(target)))
    target.unlink()


def encode(bench: Bench, name: str, kind: str, sources: list[Path], *options: object) -> None:
    """One call for several files: what it made, what it reports, what it refuses."""
    folder = bench.work / "tokens" / name / (kind.strip() or "plain")
    ran = bench.run(
        "encode", *sources, "-o", f"{folder}/", "-m", bench.model(name), "--json", "--quiet", *options
    )
    keep_command_json(bench, "tokens", f"{name}{kind} summary", ran, {"seconds"})
    for file in sorted(folder.glob("*.npz")):
        with np.load(file, allow_pickle=False) as archive:
            for array in archive.files:
                label = f"{name}{kind} {source_of(file)} {array}"
                if array != "meta":
                    bench.keep("tokens", label, array_facts(archive[array]))
                    continue
                meta = json.loads(str(archive[array]))
                bench.keep_json("tokens", label, {key: meta[key] for key in meta if key != "writer"})


def decode_to_video(bench: Bench, name: str, tokens: Path, model: str) -> None:
    """What an .mp4 of the tokens holds, read back, with the sound of the source."""
    target = bench.work / f"{name}.back.mp4"
    options = ("--audio-from", bench.work / "in" / VIDEO)
    ran = bench.run("decode", tokens, "-o", target, "-m", model, "--json", "--quiet", *options)
    keep_command_json(bench, "decoded", f"{name} mp4 summary", ran, {"seconds"})
    if target.is_file():
        bench.keep("decoded", f"{name} mp4", video_facts(target))
    picture = tokens.with_name(f"{PICTURE}.npz")
    target = bench.work / f"{name}.back.png"
    if picture.is_file() and bench.run("decode", picture, "-o", target, "-m", model, "--quiet").code == 0:
        bench.keep("decoded", f"{name} png", video_facts(target))
