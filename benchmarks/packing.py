"""What packing token files saves, and the time it takes.

    python benchmarks/packing.py VAL_TOKENS ...
    python benchmarks/packing.py VAL_TOKENS ... --prior prior.safetensors

VAL_TOKENS are token files of ``data/val`` or ``examples``, or folders of them; with levels or without, as
``--model`` encoded them. Nominal bits are log2 of the codebook's size for every index, and with levels what
it takes to say how many tokens each position has. Packed are whole files, with the token prior (by default
the model's own, if it has one) and without any. Each is unpacked and compared. Cameras that stand still are
those of `STILL`, told by looking at the clips.

Times are of the processor, with one thread: of ``encode_clips`` for the middle 17x256x256 of the clips of
``examples``, their mean, and of writing and reading packed files for as many indices as that has, with levels
for as large a video. Prints a table, writes ``benchmarks/results/packing.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from crops import read
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.packing.file import PackedFile, write_packed
from sweettok_cli.packing.prior import TokenPrior, read_prior
from sweettok_cli.tokens import Tokens, read_tokens, token_cost
from sweettok_cli.video.source import find_files
from sweettok_cli.zoo.load import load
from sweettok_cli.zoo.token_files import prior_of

STILL = {
    f"{name}.mp4"
    for name in (
        "PacktPublishing+Learning-OpenCV-4-Computer-Vision-with-Python-Third-Edition__000",
        *("XYPB+CondFoleyGen__000", "XYPB+CondFoleyGen__002", "gaomingqi+Track-Anything__001"),
        *(f"ahmetozlu+tensorflow_object_counting_api__00{n}" for n in range(3)),
        *(f"intel-iot-devkit+sample-videos__00{n}" for n in range(4)),
        *(f"mdn+shared-assets__00{n}" for n in range(3)),
        *("jasmcaus+opencv-course__000", "talmolab+sleap__000"),
    )
}
SUMMED = ("bits", "npz_bytes", "packed_bytes", "alone_bytes")
OWN = ("pack", "unpack", "prior_sha256")  # of a row, and told of all rows together
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", nargs="+", type=Path, help="token files, or folders of them")
    parser.add_argument("--prior", type=Path, help="a token prior; by default the model's own")
    parser.add_argument("--model", default="sweettok-small", help="that encoded")
    parser.add_argument("--output", type=Path, default=RESULTS / "packing.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        tokenizer = load(options.model, "cpu", "float32")
        files = [
            file
            for path in options.tokens
            for file in (find_files(path, {".npz"}) if path.is_dir() else [path])
        ]
        prior = None if options.prior is None else read_prior(options.prior)
        rows = [measure(file, tokenizer, prior) for file in files]
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    result = {
        "model": tokenizer.spec.name,
        "weights_sha256": tokenizer.spec.weights_sha256,
        "prior_sha256": rows[0]["prior_sha256"],
        "all": total(rows),
        "still": total([row for row in rows if row["still"]]),
        "ms_of_a_clip": {
            **{key: round(1000 * median(row[key] for row in rows), 2) for key in ("pack", "unpack")},
            "encode": round(1000 * encoding(tokenizer), 1),
        },
        "rows": [{key: value for key, value in row.items() if key not in OWN} for row in rows],
        "machine": describe(),
    }
    show(result)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def measure(file: Path, tokenizer: Tokenizer, prior: TokenPrior | None) -> dict[str, Any]:
    """The row of a token file."""
    tokens = read_tokens(file)
    meta, cost = tokens.meta, token_cost(tokens.meta)
    prior = prior or prior_of(meta, tokenizer.folder)
    if meta.levels:
        clip = meta.clips * meta.padded_width * meta.padded_height / 256**2
    else:
        clip = cost.indices / tokenizer.spec.fixed.indices_per_clip(256, 256)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packed.swt"
        write_packed(path, tokens)
        alone = path.stat().st_size
        start = time.process_time()
        write_packed(path, tokens, prior, force=True)
        packed = time.process_time()
        found = PackedFile.open(path).read(lambda meta, sha256: prior or read_prior(Path(sha256)))
        unpacked = time.process_time()
        size = PackedFile.open(path).cost
    check_same(found, tokens, file)
    return {
        "file": meta.source,
        "still": meta.source in STILL,
        "clips": meta.clips,
        **({"tokens": cost.tokens} if meta.levels else {}),
        "bits": round(cost.bits),
        "npz_bytes": file.stat().st_size,
        "packed_bytes": size.file_bytes,
        "coded_bits": size.coded_bits,
        "ratio": round(size.ratio, 3),
        "alone_bytes": alone,
        "pack": (packed - start) / clip,
        "unpack": (unpacked - packed) / clip,
        "prior_sha256": size.prior_sha256,
    }


def check_same(found: Tokens, tokens: Tokens, file: Path) -> None:
    same = found.meta == tokens.meta and all(
        np.array_equal(array, tokens.arrays[name]) for name, array in found.arrays.items()
    )
    if not same:
        raise SweettokError(f"{file} is not what comes back; that must not be.")


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over files, and how many times smaller than nominal they are."""
    sums: dict[str, Any] = {key: sum(row[key] for row in rows) for key in SUMMED}
    for key in ("packed", "alone"):
        size = sums[f"{key}_bytes"]
        sums[f"{key}_ratio"] = round(sums["bits"] / (8 * size), 3) if size else None
    return {"files": len(rows), **sums}


def encoding(tokenizer: Tokenizer) -> float:
    """Seconds of the processor for one clip of 17x256x256, the mean of those shipped as examples."""
    clips = [clip[None] for _, clip in read(EXAMPLES)]
    tokenizer.encode_clips(clips[0])  # what is slower once
    start = time.process_time()
    for clip in clips:
        tokenizer.encode_clips(clip)
    return (time.process_time() - start) / len(clips)


def show(result: dict[str, Any]) -> None:
    table = Table(title="kbit")
    for name in ("file", "nominal", "npz", "packed", "times smaller", "without a prior"):
        table.add_column(name)
    for row in result["rows"]:
        name = f"{row['file']}{' (still)' * row['still']}"
        table.add_row(name, *cells(row, row["ratio"], row["bits"] / 8 / row["alone_bytes"]))
    for name in ("all", "still"):
        if result[name]["files"]:
            table.add_row(
                name, *cells(result[name], result[name]["packed_ratio"], result[name]["alone_ratio"])
            )
    Console().print(table)
    spent = result["ms_of_a_clip"]
    shares = {key: 100 * spent[key] / spent["encode"] for key in ("pack", "unpack")}
    print(
        f"a clip of 17x256x256: encode {spent['encode']} ms, pack {spent['pack']} ms "
        f"({shares['pack']:.1f} %), unpack {spent['unpack']} ms ({shares['unpack']:.1f} %)"
    )


def cells(row: dict[str, Any], ratio: float, alone: float) -> list[str]:
    sizes = (row["bits"], 8 * row["npz_bytes"], 8 * row["packed_bytes"])
    return [*(f"{size / 1000:.1f}" for size in sizes), f"{ratio:.2f}", f"{alone:.2f}"]


if __name__ == "__main__":
    sys.exit(main())
