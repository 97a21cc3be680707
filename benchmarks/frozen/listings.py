"""What needs no model of MODELS, word priors, and the help of every command."""

from __future__ import annotations

import numpy as np
from bench import Bench, model_names
from digests import array_facts, file_digest, video_facts
from inputs import BRIEF, PICTURE, VARYING, VIDEO
from output import keep_command_json, words_of

COMMANDS = (
    "",
    *("encode", "decode", "roundtrip", "info", "words", "eval", "train", "doctor"),
    *("models", "models list", "models pull", "models convert", "models push", "models verify"),
    *("codebook", "codebook build"),
)


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


def helps(bench: Bench) -> None:
    """The help of every command."""
    for command in COMMANDS:
        ran = bench.run(*command.split(), "--help")
        bench.keep_text("help", command or "sweettok", ran.out + ran.err)
