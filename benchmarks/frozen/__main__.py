"""What the program does, frozen: run before and after a rebuild of its inside, and nothing may differ.

    python benchmarks/frozen record MODELS OUT.json
    python benchmarks/frozen compare MODELS BEFORE.json
    python benchmarks/frozen compare MODELS BEFORE.json --only tokens --only decoded

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
import json
import shutil
import tempfile
import time
from pathlib import Path

from bench import SECTIONS, Bench
from compare import differences
from jobs import measure


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


if __name__ == "__main__":
    main()
