"""What the program does, frozen: run before and after a rebuild of its inside, and nothing may differ.

    python benchmarks/frozen.py record MODELS OUT.json
    python benchmarks/frozen.py compare MODELS BEFORE.json
    python benchmarks/frozen.py compare MODELS BEFORE.json --only tokens --only decoded

Everything goes through the command line (``python -m sweettok_cli`` of this checkout, by the interpreter and
with the PYTHONPATH that run this), so the record survives whatever becomes of the modules. MODELS is a folder
of small model folders, written once and never again: every one that lies in it is measured, and beside them
the shipped model. Where MODELS also holds ``prior`` (of ``codebook build``), networks are trained from it;
where it holds ``wordnet``, ``language-model`` and ``captions.txt``, priors are built from them.

inputs      clips and pictures made here; where they differ, so does all the rest, and the codec is to blame
tokens      arrays and meta of the token files of every model: a video of several clips, a short one, a
            picture, with overlap, with sampled latents; what is refused, with the words it is refused with
decoded     a video of every model decoded to .npy, of the main models all inputs; of two an .mp4, read back
info        ``info`` as text and JSON, ``words``, ``models list`` and ``verify``, ``codebook build``
eval        ``eval`` as JSON, text, CSV and Markdown, with codecs, with several models, under other protocols
report      the page of ``eval --report``
roundtrip   figures and files of ``roundtrip``
help        the help of every command
training    weights and losses of each stage, straight and resumed from half way
errors      what is said of bad input, with the exit code

Times, dates, paths, the machine and the writer of token files are left out. Digests are SHA-256 and hold
for one machine and one set of packages only. Beside OUT.json a folder of the same name keeps the texts behind
the digests, for diff; ``compare`` keeps its own in ``BEFORE.now``. The exit code of ``compare`` is 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = "sweettok-small"
AT_ONCE = 2  # processes
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
WIDTH, HEIGHT, LONG, SHORT = 112, 64, 40, 5
VIDEO, BRIEF, PICTURE, VARYING = "long.mp4", "short.mp4", "picture.png", "varying.mp4"
COMMANDS = (
    "",
    *("encode", "decode", "roundtrip", "info", "words", "eval", "train", "doctor"),
    *("models", "models list", "models pull", "models convert", "models push", "models verify"),
    *("codebook", "codebook build"),
)
# A network of 64-pixel tiles that trains in seconds, and a run that logs, saves and draws half way.
NETWORK = {
    "preset": "compact",
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "tile": 8,
    "spatial_queries": 4,
    "encoder_spatial": "tt",
    "encoder_temporal": "t",
    "decoder_spatial": "tt",
    "temporal_every": 1,
    "code_dim": 16,
    "proxy_codes": 0,
    "scrambled": False,
}
SMALL_NETWORK = {
    "preset": "sweettok-small",
    "dim": 32,
    "heads": 2,
    "head_dim": 16,
    "code_dim": 16,
    "spatial_code": [4, 3],
    "temporal_code": [4, 3],
}
RUN = {
    **{"steps": 6, "lr": 1e-3, "warmup": 2, "precision": "fp32", "crop": [[64, 2, 1.0], [64, 4, 0.5]]},
    **{"hold_out": 1, "prefetch": 2, "log_every": 2, "checkpoint_every": 3, "keep_checkpoints": 9},
    **{"sample_every": 3, "validate_every": 3, "ssim": 0.1},
}


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass
class Bench:
    """The folder that everything is made in, the models, and what was found."""

    work: Path
    models: Path
    texts: Path
    wanted: list[str]
    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sections(self) -> dict[str, dict[str, Any]]:
        """What was found of what was asked for, in order."""
        found = dict(self.found)
        return {
            name: dict(sorted(found.get(name, {}).copy().items())) for name in SECTIONS if name in self.wanted
        }

    def keep(self, section: str, name: str, value: Any) -> None:
        """Record a small value as it is."""
        entries = self.found.setdefault(section, {})
        if name in entries:
            raise RuntimeError(f"{section}: {name} is recorded twice")
        entries[name] = value

    def keep_text(self, section: str, name: str, text: str) -> None:
        """Record the digest of a text, and keep the text for diff."""
        file = self.texts / section / (re.sub(r"[^\w.+-]+", "_", name) + ".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self.keep(section, name, sha256(text.encode()))

    def keep_json(self, section: str, name: str, value: Any) -> None:
        """Record plain values as text."""
        self.keep_text(section, name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def run(self, *arguments: object) -> Ran:
        """One command in a process of its own, its words without the paths of this run."""
        done = subprocess.run(
            [sys.executable, "-m", "sweettok_cli", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=900,
        )
        return Ran(done.returncode, self.plain(done.stdout), self.plain(done.stderr))

    def environment(self) -> dict[str, str]:
        """One thread, no network, caches of its own, the same width of text everywhere."""
        cache = self.work / "cache"
        fixed = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
        fixed |= {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONHASHSEED": "0"}
        fixed |= {"XDG_CACHE_HOME": str(cache), "HF_HOME": str(cache / "hf"), "TMPDIR": str(self.work)}
        fixed |= {"SWEETTOK_HOME": str(cache / "models"), "ACCELERATE_USE_CPU": "1"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SWEETTOK_")}
        return kept | fixed

    def plain(self, text: str) -> str:
        """Paths of this run replaced by what they stand for."""
        for path, name in ((self.work, "WORK"), (self.models, "MODELS"), (ROOT, "REPOSITORY")):
            text = text.replace(str(path), f"<{name}>")
        return text

    def model(self, name: str) -> str:
        """What ``--model`` is given."""
        return name if name == SHIPPED else str(self.models / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("record", "compare"))
    parser.add_argument("models", type=Path, help="folder of small model folders")
    parser.add_argument("file", type=Path, help="the record: written by record, read by compare")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="only this section; repeatable")
    options = parser.parse_args()
    wanted = [name for name in SECTIONS if name in (options.only or SECTIONS)]
    if not options.models.is_dir():
        parser.error(f"{options.models} is no folder of models")
    before = json.loads(options.file.read_text(encoding="utf-8")) if options.task == "compare" else {}
    texts = options.file.with_suffix("" if options.task == "record" else ".now")
    for section in wanted:
        shutil.rmtree(texts / section, ignore_errors=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="frozen-") as folder:
        bench = Bench(Path(folder).resolve(), options.models.resolve(), texts, wanted)
        measure(bench, lambda: write(bench, options.file) if options.task == "record" else None)
    found = bench.sections()
    count = sum(map(len, found.values()))
    print(f"{count} entries in {time.perf_counter() - start:.0f} s; texts in {texts}", flush=True)
    if options.task == "record":
        return
    different = differences({name: before.get(name, {}) for name in wanted}, found)
    print("\n".join(different) if different else "nothing differs")
    raise SystemExit(bool(different))


def write(bench: Bench, file: Path) -> None:
    """Keep what is found so far; sections that were not asked for stay as they are in the file."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(known | bench.sections(), indent=1) + "\n", encoding="utf-8")


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line an entry that is not the same."""
    lines = []
    for section in before | now:
        old, new = before.get(section, {}), now.get(section, {})
        for name in sorted(old | new):
            if name not in new:
                lines.append(f"{section}: {name}: missing now")
            elif name not in old:
                lines.append(f"{section}: {name}: was not there before")
            elif old[name] != new[name]:
                lines.append(f"{section}: {name}: {short(old[name])} -> {short(new[name])}")
    return lines


def short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text[:300]


def measure(bench: Bench, after_each: Callable[[], None]) -> None:
    """All jobs that the wanted sections need, a few at once."""
    make_inputs(bench)
    jobs: list[tuple[str, Callable[[], None]]] = []

    def add(name: str, sections: Iterable[str], work: Callable[..., None], *arguments: Any) -> None:
        if set(sections) & set(bench.wanted):
            jobs.append((name, lambda: work(bench, *arguments)))

    # The longest first.
    for stage in (2, 1, 3):
        add(f"training {stage}", ["training"], train_stage, stage)
    add("training small", ["training"], train_small)
    for number, (name, arguments) in enumerate(evaluations(bench)):
        add(f"eval {name}", ["eval", "report"], evaluate, number, name, arguments)
    for name in model_names(bench.models):
        add(f"model {name}", ["tokens", "decoded", "info"], measure_model, name)
    for name in ("sweettok", "vidtok-fsq-causal-v1.1"):
        add(f"roundtrip {name}", ["roundtrip"], roundtrip, name)
    add("listings", ["info"], listings)
    add("codebook", ["info"], build_codebooks)
    add("errors", ["errors"], bad_inputs)
    add("help", ["help"], helps)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [(name, pool.submit(timed, work)) for name, work in jobs]
        for name, job in running:
            print(f"{name}: {job.result():.0f} s", file=sys.stderr, flush=True)
            after_each()


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def model_names(models: Path) -> list[str]:
    """The models in the folder and the shipped one."""
    found = sorted(file.parent.name for file in models.glob("*/model.safetensors"))
    return [
        SHIPPED,
        *(name for name in found if (models / name / "config.json").is_file() and has_family(models / name)),
    ]


def has_family(folder: Path) -> bool:
    """Whether it is a model of this program, not a language model."""
    return "family" in json.loads((folder / "config.json").read_text(encoding="utf-8"))


# Inputs


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


# Models: tokens, decoded, info


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
            if file.stem in {Path(each).stem for each in shown}:
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


def decode(bench: Bench, name: str, file: Path) -> None:
    """The pixels of one token file, or why there are none."""
    label = f"{name} {file.parent.name} {file.stem}"
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
                label = f"{name}{kind} {file.stem} {array}"
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
    picture = tokens.with_name("picture.npz")
    target = bench.work / f"{name}.back.png"
    if picture.is_file() and bench.run("decode", picture, "-o", target, "-m", model, "--quiet").code == 0:
        bench.keep("decoded", f"{name} png", video_facts(target))


def video_facts(path: Path) -> dict[str, Any]:
    """Frames, size, rate, times, sound and the digest of the pixels."""
    digest, count, times, shape = hashlib.sha256(), 0, [], ()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        facts = {"rate": str(stream.average_rate), "codec": stream.codec_context.name}
        facts["sound"] = [one.codec_context.name for one in container.streams.audio]
        for frame in container.decode(stream):
            rgb = frame.to_ndarray(format="rgb24")
            digest.update(rgb.tobytes())
            count, shape = count + 1, rgb.shape
            times.append(None if frame.time is None else round(frame.time, 6))
    spread = sha256(json.dumps(times).encode())
    return {**facts, "frames": count, "shape": list(shape), "times": spread, "sha256": digest.hexdigest()}


def array_facts(array: np.ndarray) -> dict[str, Any]:
    """Type, shape and digest."""
    digest = sha256(np.ascontiguousarray(array).tobytes())
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": digest}


# Listings and word priors


def listings(bench: Bench) -> None:
    """What needs no model of MODELS: videos, pictures, the catalogue, words of videos."""
    source = bench.work / "in"
    for file in (VIDEO, VARYING, PICTURE):
        bench.keep_text("info", f"{file} text", words_of(bench.run("info", source / file)))
        keep_command_json(bench, "info", f"{file} json", bench.run("info", source / file, "--json"))
    bench.keep_text("info", "models list", words_of(bench.run("models", "list")))
    keep_command_json(bench, "info", "models list json", bench.run("models", "list", "--json"))
    keep_command_json(bench, "info", "models verify", bench.run("models", "verify", "--json"))
    folders = [bench.models / name for name in model_names(bench.models)[1:]]
    bench.keep_text("info", "models verify folders", words_of(bench.run("models", "verify", *folders)))
    ran = bench.run("models", "push", folders[0], "someone/something", "--dry-run", "--json", "--quiet")
    keep_command_json(bench, "info", "models push dry run", ran)
    keep_command_json(bench, "info", "words json", bench.run("words", source / VIDEO, "--json", "--quiet"))
    bench.keep_text("info", "words", words_of(bench.run("words", source / BRIEF, "--quiet")))
    bench.keep_text("info", "words of several", words_of(bench.run("words", source / "eval", "--quiet")))
    film = bench.work / "words.mp4"
    ran = bench.run("words", source / BRIEF, "--video", film, "--json", "--quiet", "--top", 3)
    keep_command_json(bench, "info", "words video json", ran)
    if film.is_file():
        bench.keep("info", "words video", video_facts(film))


def build_codebooks(bench: Bench) -> None:
    """Priors from a small dictionary and language model: from WordNet alone, and from captions."""
    wordnet, llm, captions = (bench.models / name for name in ("wordnet", "language-model", "captions.txt"))
    if not (wordnet.is_dir() and llm.is_dir() and captions.is_file()):
        return
    for name, options in (
        ("wordnet", ["--adjectives", 4, "--nouns", 4, "--adverbs", 3, "--verbs", 3]),
        ("captions", ["--captions", captions, "--min-count", 0, "--dim", 2]),
    ):
        out = bench.work / f"prior-{name}"
        ran = bench.run(
            "codebook", "build", "-o", out, "--wordnet", wordnet, "--llm", llm, *options, "--json"
        )
        keep_command_json(bench, "info", f"codebook {name}", ran)
        for file in sorted(out.glob("*")):
            if file.suffix == ".json":
                bench.keep_text("info", f"codebook {name} {file.name}", bench.plain(file.read_text("utf-8")))
            elif file.suffix == ".npz":
                with np.load(file, allow_pickle=False) as archive:
                    for array in archive.files:
                        bench.keep("info", f"codebook {name} {array}", array_facts(archive[array]))
            else:
                bench.keep("info", f"codebook {name} {file.name}", file_digest(file))


# Evaluation


def evaluations(bench: Bench) -> list[tuple[str, list[object]]]:
    """Names and arguments of the runs over the two clips."""
    anchored, omni, kl = (bench.model(name) for name in ("sweettok", "omnitokenizer", "vidtok-kl-causal"))
    stream = bench.model("vidtok-fsq-causal-v1.1")
    quick = ["--metrics", "psnr,ssim"]
    return [
        ("shipped x264", ["-m", SHIPPED, "--baseline", "x264"]),
        ("compare", ["--compare", f"{anchored},{omni}", "--baseline", "x264", "--no-curves"]),
        ("sweettok", ["-m", anchored]),
        ("picture", ["-m", omni]),
        ("vidtok-kl x264", ["-m", kl, "--baseline", "x264", "--no-curves", "--sample", 3]),
        ("vidtok-kl overlap", ["-m", kl, *quick, "--overlap", 2]),
        ("vidtok stream", ["-m", stream, *quick]),
        ("protocol sweettok", ["-m", anchored, "--protocol", "sweettok", *quick]),
        ("protocol vidtok", ["-m", kl, "--protocol", "vidtok", *quick, "--limit", 1]),
    ]


def evaluate(bench: Bench, number: int, name: str, options: list[object]) -> None:
    """One run with all that it can write; the first two also as text for people, from the same journal."""
    out = bench.work / f"eval{number}"
    out.mkdir()
    table, paper, page = out / "table.csv", out / "table.md", out / "page.html"
    files = ["--csv", table, "--markdown", paper, "--report", page, "--journal", out / "journal"]
    clips = bench.work / "in" / ("large.png" if name == "picture" else "eval")
    ran = bench.run("eval", clips, *options, "--json", *files)
    if ran.code:
        bench.keep_json("eval", name, {"code": ran.code, "error": ran.err})
        return
    record = json.loads(ran.out)
    dropped = {"date", "machine", "command", "seconds", "sweettok"}
    bench.keep_json("eval", f"{name} json", without(record, dropped))
    bench.keep_text("eval", f"{name} stderr", untimed(ran.err))
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [{key: row[key] for key in row if key != "seconds"} for row in csv.DictReader(stream)]
    bench.keep_json("eval", f"{name} csv", rows)
    text = re.sub(r"Measured with sweettok .*", "", bench.plain(paper.read_text(encoding="utf-8")))
    bench.keep_text("eval", f"{name} markdown", text)
    bench.keep_text("report", name, bench.plain(timeless_page(page.read_text(encoding="utf-8"), record)))
    if number < 2:
        ran = bench.run("eval", clips, *options, "--journal", out / "journal")
        # The last column is seconds, and its width moves the others.
        plain = re.sub(r", \d+ s in the model", "", ran.out)
        lines = [re.sub(r"\s+(\d+\.\d|seconds)?\s*$", "", line) for line in plain.splitlines()]
        lines = [re.sub(r"[ ─╶╴]{2,}", "  ", line) for line in lines]
        bench.keep_text("eval", f"{name} text", "\n".join(lines) + "\n")


def timeless_page(page: str, record: dict[str, Any]) -> str:
    """The report without dates, machine, command and seconds; pictures only by their digest."""
    record_text = json.loads(json.dumps(record))
    unwanted = [record_text["date"], record_text["command"], *record_text["machine"].values()]
    for value in sorted(unwanted, key=len, reverse=True):
        page = page.replace(html.escape(value), "...").replace(value, "...")
    page = re.sub(
        r'(<tr><th scope="row">(?:(?!</tr>).)*seconds to (?:(?!</tr>).)*?</th>).*?</tr>',
        r"\1...</tr>",
        page,
        flags=re.S,
    )
    page = re.sub(r"[A-Za-z0-9+/]{400,}={0,2}", lambda found: sha256(found[0].encode()), page)
    return page.replace(record_text["sweettok"], "...")


def roundtrip(bench: Bench, name: str) -> None:
    """Figures, and the files that are left."""
    out = bench.work / f"roundtrip-{name}"
    ran = bench.run(
        "roundtrip", bench.work / "in" / VIDEO, "-o", out, "-m", bench.model(name), "--json", "--quiet"
    )
    keep_command_json(bench, "roundtrip", f"{name} json", ran, {"seconds"})
    for file in sorted(out.glob("*")):
        if file.suffix == ".mp4":
            bench.keep("roundtrip", f"{name} {file.name}", video_facts(file))
        elif file.suffix == ".csv":
            bench.keep_text("roundtrip", f"{name} {file.name}", file.read_text(encoding="utf-8"))
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                kept = {key: array_facts(archive[key]) for key in archive.files if key != "meta"}
            bench.keep("roundtrip", f"{name} {file.name}", kept)
        else:
            bench.keep("roundtrip", f"{name} {file.name}", file_digest(file))


# Training


def train_stage(bench: Bench, stage: int) -> None:
    """Six steps of a stage from a prior, or the third from the model of its own; resumed from the third."""
    settings = recipe_settings(
        {**RUN, "stage": stage, "init_samples": 0, "frames": 1 if stage == 1 else 17}, NETWORK
    )
    start = ["--prior", bench.models / "prior"]
    if stage == 3:
        start = ["--init", bench.models / "sweettok-differences"]
    train(bench, f"stage {stage}", ["--config", f"compact-stage{stage}", *start, *settings])


def train_small(bench: Bench) -> None:
    """The shipped layout: anchored tokens, weights that start from the data, pictures between the clips."""
    values = {**RUN, "stage": 2, "init_samples": 8, "pictures": 0.3, "reverse": True, "accumulate": 2}
    start = ["--config", "sweettok-small-stage2", "--prior", bench.models / "prior"]
    train(bench, "small stage 2", [*start, *recipe_settings(values, SMALL_NETWORK)])


def recipe_settings(values: dict[str, Any], network: dict[str, Any]) -> list[object]:
    """``--set`` for each, in TOML's notation, which for these values is JSON's."""
    named = values | {f"model.{key}": value for key, value in network.items()}
    return [part for key, value in named.items() for part in ("--set", f"{key}={json.dumps(value)}")]


def train(bench: Bench, name: str, options: list[object]) -> None:
    """A straight run; then the same folder with all after step 3 taken away, resumed."""
    inputs, out = bench.work / "in", bench.work / "runs" / name.replace(" ", "-")
    data = ["--data", inputs / "clips", "--val", inputs / "val", "--out", out, "--json"]
    if not (bench.models / "prior").is_dir():
        return
    ran = bench.run("train", *data, *options)
    if ran.code:
        bench.keep_json("training", name, {"code": ran.code, "error": ran.err})
        return
    keep_run(bench, name, out, ran)
    for file in sorted((out / "model").iterdir()):
        if file.suffix != ".safetensors":
            bench.keep_text("training", f"{name} {file.name}", file.read_text(encoding="utf-8"))
    bench.keep_text("training", f"{name} recipe", (out / "recipe.toml").read_text(encoding="utf-8"))
    shutil.rmtree(out / "checkpoints" / "00000006")
    (out / "model" / "model.safetensors").unlink()
    straight = bench.found["training"][f"{name} weights"]
    keep_run(bench, f"{name} resumed", out, bench.run("train", *data, "--resume"))
    resumed = bench.found["training"][f"{name} resumed weights"]
    bench.keep("training", f"{name} resumed is as straight", resumed == straight)


def keep_run(bench: Bench, name: str, out: Path, ran: Ran) -> None:
    """Weights, log and sample grids of a run."""
    keep_command_json(bench, "training", f"{name} summary", ran, {"minutes"})
    weights = out / "model" / "model.safetensors"
    bench.keep("training", f"{name} weights", tensors_digest(weights) if weights.is_file() else None)
    timed_keys = {"seconds_per_step", "data_wait", "minutes"}
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    # A resumed run says once more how many parameters learn; that line is the start's, not the steps'.
    bench.keep_json("training", f"{name} log", without(lines, timed_keys))
    for file in sorted((out / "samples").glob("*.png")):
        bench.keep("training", f"{name} {file.name}", video_facts(file))


def tensors_digest(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file by name, without the file's own notes."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name in sorted(header):
        tensor = header[name]
        begin, end = tensor["data_offsets"]
        digest.update(f"{name} {tensor['dtype']} {tensor['shape']}\n".encode())
        digest.update(content[8 + length + begin : 8 + length + end])
    return {"tensors": len(header), "sha256": digest.hexdigest()}


# Help and errors


def helps(bench: Bench) -> None:
    """The help of every command."""
    for command in COMMANDS:
        ran = bench.run(*command.split(), "--help")
        bench.keep_text("help", command or "sweettok", ran.out + ran.err)


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


# Values


def keep_command_json(bench: Bench, section: str, name: str, ran: Ran, dropped: Iterable[str] = ()) -> None:
    """What a command with ``--json`` printed, without what changes by itself; and what it said beside."""
    value = {"code": ran.code, "error": untimed(ran.err)}
    bench.keep_json(
        section,
        name,
        value | {"out": without(json.loads(ran.out), set(dropped)) if ran.out.strip() else None},
    )


def without(value: Any, dropped: set[str]) -> Any:
    """Plain values without the keys that are to be left out, at any depth."""
    if isinstance(value, dict):
        return {key: without(each, dropped) for key, each in value.items() if key not in dropped}
    return [without(each, dropped) for each in value] if isinstance(value, list) else value


def words_of(ran: Ran) -> str:
    """Code and everything said."""
    return f"exit {ran.code}\n{ran.out}---\n{untimed(ran.err)}"


def untimed(text: str) -> str:
    """Without the seconds that lines of progress end with."""
    text = re.sub(r"\d+\.\d\d s a step \(data \d+\.\d\d s\)", "... s a step", text)
    return re.sub(r", \d+\.\d s$", ", ... s", text, flags=re.M)


def file_digest(path: Path) -> dict[str, Any]:
    """Of a file as it is; of a safetensors file its tensors."""
    if path.suffix == ".safetensors":
        return tensors_digest(path)
    return {"sha256": sha256(path.read_bytes())}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SECTIONS = (
    *("inputs", "tokens", "decoded", "info", "eval", "report", "roundtrip", "help", "training", "errors"),
)


if __name__ == "__main__":
    main()
