"""What the codes of a model keep of what its words mean, list by list.

    python benchmarks/language.py
    python benchmarks/language.py MODEL MODEL ...

kept            of a word's ten nearest words by vector, the share that are among its ten nearest by code,
                the mean over the words of a list
by chance       what shuffled codes would keep
vectors alone   the same where codes are the leading directions of the vectors, as many as a code has: what a
                linear map can keep
correlation     Spearman's, of distances by vector (one less cosine) and by code, over random pairs of words

A code is where a word lies after graph, mapping and offset; lists are adjectives and nouns of the spatial
tokens, adverbs and verbs of the temporal ones. Prints a table, writes ``benchmarks/results/language.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.models.sweettok.meaning import NEIGHBOURS, nearest_others, shared_neighbours
from sweettok_cli.models.sweettok.quantizer import LanguageQuantizer
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.load import resolve_model

PAIRS = 200_000
LISTS = {"spatial": ("adjectives", "nouns"), "temporal": ("adverbs", "verbs")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["sweettok-small"], help="names or folders")
    parser.add_argument("--output", type=Path, default=RESULTS / "language.json")
    options = parser.parse_args()
    try:
        rows = [row for name in options.models for row in measure(name)]
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    show(rows)
    options.output.write_text(
        json.dumps({"pairs": PAIRS, "rows": rows, "machine": describe()}, indent=1) + "\n"
    )
    return 0


@torch.inference_mode()
def measure(name: str) -> list[dict[str, Any]]:
    """A row for each list of a model's words."""
    folder = ModelFolder(resolve_model(name))
    network = read_model(folder).network.eval()
    of = {"model": folder.header.name, "weights_sha256": folder.header.weights_sha256}
    halves = {"spatial": network.quantize_spatial, "temporal": network.quantize_temporal}
    return [{**of, **row} for half, quantizer in halves.items() for row in lists(half, quantizer)]


def lists(half: str, quantizer: LanguageQuantizer) -> list[dict[str, Any]]:
    codes = quantizer.codebook()
    words = quantizer.vectors.split([len(codes.modifiers), len(codes.heads)])
    rows = []
    for name, vectors, found in zip(LISTS[half], words, (codes.modifiers, codes.heads), strict=True):
        torch.manual_seed(0)
        unit = F.normalize(vectors, dim=-1)
        near = nearest_others(unit, NEIGHBOURS)
        first, second = torch.randint(len(unit), (2, PAIRS))
        apart = 1 - (unit[first] * unit[second]).sum(-1), (found[first] - found[second]).norm(dim=-1)
        _, _, directions = torch.linalg.svd(vectors - vectors.mean(dim=0), full_matrices=False)
        rows.append(
            {
                "list": name,
                "words": len(unit),
                "dimensions": found.shape[1],
                "kept": shared_neighbours(found, near),
                "by_chance": shared_neighbours(found[torch.randperm(len(found))], near),
                "vectors_alone": shared_neighbours(vectors @ directions[: found.shape[1]].T, near),
                "correlation": correlation(*apart),
            }
        )
    return rows


def correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two vectors."""
    ranks = torch.stack([values.argsort().argsort().double() for values in (a, b)])
    return torch.corrcoef(ranks)[0, 1].item()


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(*("model", "list", "words", "kept", "by chance", "vectors alone", "correlation"))
    for row in rows:
        shares = (f"{row[key]:.1%}" for key in ("kept", "by_chance", "vectors_alone"))
        table.add_row(row["model"], row["list"], str(row["words"]), *shares, f"{row['correlation']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
