"""The indices of a token, drawn one after the other or by heads that do not know each other.

    python benchmarks/heads.py --train TOKENS --val TOKENS [--minutes 5]

TOKENS are token files of SweetTok's fixed layout, or folders of them. Three networks of one size (that of
``generator-small``) learn for as many minutes of one processor, by the same schedule, from windows of two
clips, and begin with the same vectors of codes:

    one after the other   every index is a symbol of its own: sequences are three times as long. The product's
    factorised            a token is one place, which reads the sum of its vectors; three heads guess the
                          indices of the next, each without knowing the others
    chained               likewise, but each head is a small network that is told the indices before its own

Bits a token of ``--val``. Prints a table, writes ``benchmarks/results/heads.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from machine import RESULTS, describe
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.codes import start_from_codes
from sweettok_cli.generation.config import GeneratorConfig
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.videos import SymbolVideos, read_videos
from sweettok_cli.generation.windows import WindowBatch, Windows
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.sequences.vocabulary import Vocabulary, columns
from sweettok_cli.zoo.load import load

SIZE, CLIPS, RATE, WARMUP = 8, 2, 1e-3, 0.03
COLUMNS = 3


class OneAfterTheOther(nn.Module):
    """The product's network."""

    def __init__(self, made: Generator, windows: Windows) -> None:
        super().__init__()
        self.made, self._marks = made, marks_of(windows.order.vocabulary)

    def forward(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """Nats of each code [n], and what is to be minimised."""
        given = batch.symbols, batch.targets, batch.lists, batch.few
        unlikely, loss = self.made(*map(torch.from_numpy, given))
        codes = (batch.targets >= 0) & ~np.isin(batch.targets, self._marks)
        return unlikely[torch.from_numpy(codes)], loss


class Heads(nn.Module):
    """A token is a place: heads guess its indices from what the network makes of those before it."""

    def __init__(self, made: Generator, windows: Windows, chained: bool) -> None:
        super().__init__()
        self.made, self.chained, code = made, chained, windows.order.vocabulary
        self._marks, width = marks_of(code), made.network.config.hidden_size
        self.begin = nn.Parameter(0.02 * torch.randn(width))
        names = [[columns(array)[c] for array in code.codebooks] for c in range(COLUMNS)]
        self.lists = [[code.lists[name] for name in column] for column in names]
        maps = []
        for column in range(COLUMNS):
            wide = width * (1 + column) if chained else width
            maps.append(
                nn.Sequential(nn.Linear(wide, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
                if chained
                else nn.Linear(width, width)
            )
        self.maps = nn.ModuleList(maps)

    def forward(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """As :meth:`OneAfterTheOther.forward`."""
        targets = torch.from_numpy(batch.targets)
        codes = (batch.targets >= 0) & ~np.isin(batch.targets, self._marks)
        lengths = codes.sum(1) // COLUMNS
        tokens = torch.zeros(len(batch), int(lengths.max()), COLUMNS, dtype=torch.int64)
        for row, length in enumerate(lengths):
            tokens[row, :length] = targets[row][torch.from_numpy(codes[row])].view(-1, COLUMNS)
        vectors = F.embedding(tokens, self.made.network.get_input_embeddings().weight)
        before = vectors[:, :-1].sum(2)
        read = torch.cat([self.begin.expand(len(batch), 1, -1), before], dim=1)
        hidden = self.made.network.base_model(inputs_embeds=read, use_cache=False).last_hidden_state
        there = torch.arange(tokens.shape[1])[None] < torch.from_numpy(lengths)[:, None]
        hidden, tokens, vectors = hidden[there], tokens[there], vectors[there]
        nats = torch.zeros(len(tokens), COLUMNS)
        for column in range(COLUMNS):
            told = [hidden, *vectors[:, :column].unbind(1)] if self.chained else [hidden]
            guess = self.maps[column](torch.cat(told, dim=1))
            for each in self.lists[column]:
                at = ((tokens[:, column] >= each.start) & (tokens[:, column] < each.end)).nonzero()[:, 0]
                rows = self.made.network.get_output_embeddings().weight[each.start : each.end]
                likely = (guess[at] @ rows.T).float().log_softmax(1)
                own = likely.gather(1, tokens[at, column : column + 1] - each.start)[:, 0]
                nats = nats.index_put((at, torch.full_like(at, column)), -own)
        return nats.detach().flatten(), nats.mean()


def marks_of(code: Vocabulary) -> list[int]:
    return [code.special("clip"), code.special("end")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--val", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=float, default=5, help="of one processor, for each")
    parser.add_argument("--output", type=Path, default=RESULTS / "heads.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        train = SymbolVideos(read_videos(options.train, False, ignore_progress))
        val = SymbolVideos(read_videos(options.val, False, ignore_progress), train.like, ())
        if train.like.levels or train.like.family != "sweettok":
            raise SweettokError("Heads are of SweetTok's fixed layout; encode with --fixed.")
        vectors = load(train.like.model, "cpu", "float32").code_vectors()
    except SweettokError as error:
        print(error, file=sys.stderr)
        return 1
    code, windows = train.order.vocabulary, Windows(train.order, CLIPS)
    rows = []
    for name in ("one after the other", "factorised", "chained"):
        torch.manual_seed(0)
        made = Generator(build_network(GeneratorConfig(), code), code)
        start_from_codes(made, code, vectors)
        network = (
            OneAfterTheOther(made, windows)
            if name == "one after the other"
            else Heads(made, windows, name == "chained")
        )
        row: dict[str, Any] = {"name": name, "parameters": sum(p.numel() for p in network.parameters())}
        row |= learn(network, batches(windows, train), 60 * options.minutes)
        rows.append(row | {"bits_per_token": round(measure(network, windows, val), 3)})
        print(row, file=sys.stderr)
    nominal = sum(video.bits for video in val.videos) / sum(video.tokens for video in val.videos)
    result = {"minutes": options.minutes, "nominal": nominal, "rows": rows, "machine": describe()}
    table = Table("heads", "steps", "s a step", "bits a token", title=f"nominal {nominal:.2f}")
    for row in rows:
        table.add_row(row["name"], str(row["steps"]), f"{row['seconds']:.2f}", f"{row['bits_per_token']:.2f}")
    Console().print(table)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def batches(windows: Windows, videos: SymbolVideos) -> Iterator[WindowBatch]:
    luck = np.random.default_rng(0)
    places = [(v, s) for v in videos.videos for s in range(max(1, len(v.clips) - CLIPS + 1))]
    while True:
        chosen = [places[int(n)] for n in luck.integers(len(places), size=SIZE)]
        yield windows.batch([windows.of(v, s, None) for v, s in chosen], [v.name for v, _ in chosen])


def learn(network: nn.Module, given: Iterator[WindowBatch], seconds: float) -> dict[str, Any]:
    """Train for so many seconds of the processor; the rate follows what part of them is over."""
    optimizer = torch.optim.AdamW(network.parameters(), RATE, betas=(0.9, 0.96), weight_decay=0.03)
    begun, steps = time.process_time(), 0
    while (part := (time.process_time() - begun) / seconds) < 1:
        rate = min(1.0, part / WARMUP) * 0.5 * (1 + math.cos(math.pi * part))
        for group in optimizer.param_groups:
            group["lr"] = RATE * max(rate, 0.02)
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(next(given))[1]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
    return {"steps": steps, "seconds": round(seconds / steps, 3)}


@torch.inference_mode()
def measure(network: nn.Module, windows: Windows, val: SymbolVideos) -> float:
    nats = sum(network(batch)[0].double().sum().item() for batch in windows.covering(val.videos, SIZE))
    return nats / math.log(2) / sum(video.tokens for video in val.videos)


if __name__ == "__main__":
    sys.exit(main())
