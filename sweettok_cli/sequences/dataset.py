"""Shards as a data set of PyTorch: windows of clips, shuffled, shared out, and gone on with exactly."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.sequences.crop import tiles_of
from sweettok_cli.sequences.shard import Sample, ShardReader, framed
from sweettok_cli.sequences.shards import Shards

# What is drawn at random, each from a stream of its own.
_ORDER, _WITHIN, _CROP = range(3)


class TokenDataset(IterableDataset[dict[str, Any]]):
    """Windows of whole clips out of a folder of shards, each written as a video of its own.

    A window is a dict: ``ids``, its symbols, int64 [n], which begin, say the class, part clips and end as
    those of a video do; ``name`` of the video, and ``clip``, the number of its first clip there, int64.
    Windows of a video follow each other; where its clips do not fill the last one, that begins earlier, and a
    video that has fewer gives one that is shorter.

    An iteration is one epoch. Its order is told by the seed and :meth:`set_epoch`, whoever reads it: some
    shards at a time are shuffled, and every window goes to one rank, and one worker of it.

    :meth:`state_dict` says where an iteration is, and :meth:`load_state_dict` goes on there, with as many
    ranks and workers. Without workers, ask the data set; with some, ask a
    ``torchdata.stateful_dataloader.StatefulDataLoader``, which asks those of its workers.

    Args:
        folder: that ``sweettok export`` wrote.
        clips: of a window.
        crop: rows and columns of tiles; of each window such a part of the frame is taken, drawn at random,
            the same of all its clips. For tiled models, in the fixed layout.
        tile: side of a tile in pixels, where the folder does not say it.
        seed: of all that is drawn.
        shuffle: or the order in which they lie in the shards.
        mix: shards that are shuffled together, and held open.
        even: leave out the last windows if not all ranks would have one more.
        rank: of this process, and how many there are (``ranks``); by default those of torch.distributed.

    Raises:
        SweettokError: the folder is no folder of shards, or damaged, or its frames cannot be cropped.
    """

    def __init__(
        self,
        folder: Path | str,
        clips: int = 1,
        *,
        crop: tuple[int, int] | None = None,
        tile: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        mix: int = 4,
        even: bool = False,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> None:
        if min(clips, mix, *(crop or (1, 1))) < 1:
            raise ValueError("clips, mix and both sides of crop are 1 at least")
        if (rank is None) != (ranks is None) or not 0 <= (rank or 0) < (ranks or 1):
            raise ValueError("rank goes with ranks, and is below it")
        self._shards = Shards(Path(folder))
        self.vocabulary = self._shards.spelling.vocabulary
        self._tile = tile or self._shards.tile
        if crop is not None and self._tile is None:
            raise SweettokError(
                f"{folder} does not say how large tiles are; pass {option('tile', 64)}, or as the model has."
            )
        self._clips, self._crop, self._seed, self._shuffle = clips, crop, seed, shuffle
        self._mix, self._even, self._rank, self._ranks = mix, even, rank, ranks
        #: Of each shard, how many windows its videos before each one have, and all: int64 [videos + 1].
        self._before = [
            np.concatenate([[0], np.cumsum(-(-shard.clips // clips))]) for shard in self._shards.shards
        ]
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers that live on see it change
        self._given = 0  # windows that this reader has yielded of this epoch
        self._resumed: dict[str, Any] | None = None
        self._opened: OrderedDict[int, tuple[ShardReader, list[Sample]]] = OrderedDict()
        about = (self._shards.digest, clips, crop, self._tile, seed, shuffle, mix, even)
        self._key = hashlib.sha256(repr(about).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """For workers, which open shards of their own, and may not know of other ranks."""
        rank, ranks = self._place()
        return vars(self) | {"_opened": OrderedDict(), "_rank": rank, "_ranks": ranks}

    def __len__(self) -> int:
        """Windows of an epoch for this rank."""
        rank, ranks = self._place()
        return len(range(rank, self._total(ranks), ranks))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is: each has an order and crops of its own."""
        self._epoch.fill_(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where this reader is, of one epoch, and of what."""
        _, ranks = self._place()
        info = get_worker_info()
        readers = ranks * (info.num_workers if info else 1)
        return {"epoch": int(self._epoch), "given": self._given, "readers": readers, "key": self._key}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration go on where :meth:`state_dict` was asked.

        Raises:
            SweettokError: that was of other shards, or other settings.
        """
        if state["key"] != self._key:
            raise SweettokError(
                f"The state is of other shards than those of {self._shards.folder}, or of other settings; "
                "resume with what was there, or start anew."
            )
        self.set_epoch(state["epoch"])
        self._given, self._resumed = state["given"], dict(state)

    def collate(self, windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch: ``ids`` [b, n], shorter ones filled up with ``pad``; ``length`` and ``clip`` [b]; a list
        of each ``name``. For ``DataLoader(..., collate_fn=dataset.collate)``.
        """
        ids = [window["ids"] for window in windows]
        pad = self.vocabulary.special("pad")
        return {
            "ids": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=pad),
            "length": torch.tensor([len(each) for each in ids]),
            "clip": torch.stack([window["clip"] for window in windows]),
            "name": [window["name"] for window in windows],
        }

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The windows of this rank, or of this worker of it, of the epoch."""
        rank, ranks = self._place()
        info = get_worker_info()
        reader = rank + ranks * (info.id if info else 0)
        readers = ranks * (info.num_workers if info else 1)
        resumed, self._resumed = self._resumed, None
        if resumed is not None and resumed["readers"] != readers:
            raise SweettokError(
                f"The state is of {resumed['readers']} ranks and workers together, and these are {readers}; "
                "resume with as many."
            )
        self._given = 0 if resumed is None else self._given
        return self._windows(int(self._epoch), reader, readers, self._total(ranks))

    def _windows(self, epoch: int, reader: int, readers: int, total: int) -> Iterator[dict[str, Any]]:
        begins = 0  # windows of the epoch before those of a group of shards
        for group in self._groups(epoch):
            ends = np.cumsum([0, *(self._before[shard][-1] for shard in group)])
            place = reader + readers * self._given
            if place < begins + ends[-1]:
                order = np.arange(ends[-1])
                if self._shuffle:
                    order = self._random(_WITHIN, epoch, begins).permutation(ends[-1])
            while place < min(begins + ends[-1], total):
                which = order[place - begins]
                of = int(np.searchsorted(ends, which, "right")) - 1
                window = self._window(group[of], int(which - ends[of]), epoch, place)
                self._given += 1
                yield window
                place = reader + readers * self._given
            begins += int(ends[-1])

    def _groups(self, epoch: int) -> list[list[int]]:
        """The shards in the order of an epoch, in groups that are shuffled together."""
        count = len(self._before)
        order = self._random(_ORDER, epoch).permutation(count) if self._shuffle else np.arange(count)
        return [order[start : start + self._mix].tolist() for start in range(0, count, self._mix)]

    def _window(self, shard: int, which: int, epoch: int, place: int) -> dict[str, Any]:
        """A window by its number in a shard; its crop is told by its place in the epoch."""
        reader, samples = self._open(shard)
        video = int(np.searchsorted(self._before[shard], which, "right")) - 1
        sample = samples[video]
        start = (which - int(self._before[shard][video])) * self._clips
        end = min(start + self._clips, sample.clips)
        start = max(0, end - self._clips)
        with self._shards.reading_video(reader, sample):
            inner = reader.inner(sample, start, end)
            if self._crop is not None:
                random = self._random(_CROP, epoch, place)
                inner = self._cropped(inner, sample, end - start, random)
            ids = framed(inner, self.vocabulary, sample.label)
        return {"ids": torch.from_numpy(ids), "name": sample.name, "clip": torch.tensor(start)}

    def _cropped(
        self, inner: np.ndarray, sample: Sample, clips: int, random: np.random.Generator
    ) -> np.ndarray:
        """The symbols of a rectangle of tiles, of each clip; what is between clips stays."""
        assert self._crop is not None and self._tile is not None
        try:
            tiles = tiles_of(sample.meta, self._tile)
        except ValueError as error:
            raise SweettokError(
                f"{sample.name} of {self._shards.folder} cannot be cropped: {error}; leave the crop out."
            ) from error
        rows, columns = self._crop
        if rows > tiles.rows or columns > tiles.columns:
            raise SweettokError(
                f"{sample.name} of {self._shards.folder} has {tiles.rows} rows of {tiles.columns} tiles, "
                f"less than the crop's {rows} and {columns}; crop less, or leave it out."
            )
        top, left = (int(random.integers(room + 1)) for room in (tiles.rows - rows, tiles.columns - columns))
        chosen = tiles.rectangle(top, left, rows, columns)
        marked = np.append(inner, inner.dtype.type(self.vocabulary.special("clip"))).reshape(clips, -1)
        chosen = np.append(chosen, marked.shape[1] - 1)  # what is behind a clip
        return marked[:, chosen].ravel()[:-1]

    def _open(self, shard: int) -> tuple[ShardReader, list[Sample]]:
        """A shard and its videos; so many are held open as are read in turn."""
        if shard not in self._opened:
            while len(self._opened) >= self._mix:
                self._opened.popitem(last=False)
            about = self._shards.shards[shard]
            self._opened[shard] = self._shards.open(about), self._shards.samples(about)
        self._opened.move_to_end(shard)
        return self._opened[shard]

    def _place(self) -> tuple[int, int]:
        """Of this process among all."""
        if self._rank is not None and self._ranks is not None:
            return self._rank, self._ranks
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def _total(self, ranks: int) -> int:
        """Windows of an epoch, of all ranks."""
        total = sum(int(before[-1]) for before in self._before)
        return total // ranks * ranks if self._even else total

    def _random(self, *words: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *words])
