"""Shards of tokens in PyTorch: a data set of one's own for each format, and the one that sweettok has.

python examples/read_shards.py SHARDS

SHARDS is a folder that `sweettok export` wrote. The first three classes need nothing of sweettok: copy the
one for your format. docs/shards.md says what the numbers mean, and in which order they come.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, get_worker_info

import sweettok


class TarVideos(IterableDataset[Tensor]):
    """Of --format webdataset: all symbols of each video, int64 [n]; workers share the shards."""

    def __init__(self, folder: Path) -> None:
        self.shards = sorted(folder.glob("tokens-*.tar"))

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        first, every = (worker.id, worker.num_workers) if worker else (0, 1)
        for shard in self.shards[first::every]:
            with tarfile.open(shard) as archive:
                for member in archive:
                    if member.name.endswith(".npz"):  # beside it, .json says the video's name and class
                        content = io.BytesIO(archive.extractfile(member).read())
                        yield torch.from_numpy(np.load(content)["ids"].astype(np.int64))


class ParquetClips(Dataset[Tensor]):
    """Of --format parquet: the symbols of each clip, int64 [n], without those around and between clips."""

    def __init__(self, file: Path) -> None:
        import pyarrow.parquet

        self.rows = pyarrow.parquet.read_table(file, columns=["ids"])["ids"]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Tensor:
        return torch.from_numpy(self.rows[row].values.to_numpy().astype(np.int64))


class MappedVideos(Dataset[Tensor]):
    """Of --format megatron: all symbols of each video, int64 [n], read from the disk when asked for."""

    def __init__(self, file: Path) -> None:
        index, head = file.read_bytes(), struct.Struct("<9sQBQQ")
        _, _, code, count, _ = head.unpack_from(index)
        self.lengths = np.frombuffer(index, "<i4", count, head.size)
        self.begins = np.frombuffer(index, "<i8", count, head.size + 4 * count)  # bytes
        self.symbols = np.memmap(file.with_suffix(".bin"), {8: "<u2", 4: "<i4"}[code], "r")

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, video: int) -> Tensor:
        begin = self.begins[video] // self.symbols.itemsize
        return torch.from_numpy(self.symbols[begin : begin + self.lengths[video]].astype(np.int64))


def own(folder: Path) -> Dataset[Tensor]:
    """One of these, by what the folder says of its format."""
    kind = json.loads((folder / "shards.json").read_text())["kind"]
    if kind == "webdataset":
        return TarVideos(folder)
    of, ending = (ParquetClips, "parquet") if kind == "parquet" else (MappedVideos, "idx")
    return ConcatDataset([of(file) for file in sorted(folder.glob(f"tokens-*.{ending}"))])


if __name__ == "__main__":
    shards = Path(sys.argv[1])
    pad = json.loads((shards / "vocabulary.json").read_text())["specials"]["<|pad|>"]

    dataset = own(shards)
    shuffled = not isinstance(dataset, IterableDataset)
    loader = DataLoader(
        dataset, 4, shuffle=shuffled, collate_fn=lambda ids: pad_sequence(ids, True, padding_value=pad)
    )
    symbols = 0
    for ids in loader:  # int64 [4, n], the shorter ones filled up
        symbols += int((ids != pad).sum())
    print(f"own: {symbols} symbols, the last batch {list(ids.shape)}")

    # The same with windows of whole clips, shuffling, ranks and workers, resuming in the middle of an epoch.
    dataset = sweettok.TokenDataset(shards, clips=1, seed=0)
    symbols = 0
    for epoch in range(2):
        dataset.set_epoch(epoch)
        for batch in DataLoader(dataset, 4, num_workers=1, collate_fn=dataset.collate):
            symbols += int(batch["length"].sum())
    print(f"TokenDataset: {symbols} symbols in two epochs, the last batch {list(batch['ids'].shape)}")
