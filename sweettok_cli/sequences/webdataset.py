"""Shards that WebDataset reads: a tar of two members a video, ``NUMBER.npz`` and ``NUMBER.json``.

The first is a NumPy archive with one array, ``ids``: all symbols of the video. The second says its name, how
many clips it has, its class if it has one, and the description of its token file, a JSON string.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from sweettok_cli.files import open_regular
from sweettok_cli.sequences.shard import Sample, ShardReader, ShardWriter, Spelling

TAR = ".tar"


class WebDatasetWriter(ShardWriter):
    """Writes a tar; the same videos give the same bytes."""

    endings = (TAR,)

    def __init__(self, stem: Path, spelling: Spelling, first: int) -> None:
        super().__init__(stem, spelling, first)
        self._archive = tarfile.open(stem.with_suffix(TAR), "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._videos = 0

    def add(self, sample: Sample, symbols: np.ndarray) -> int:
        """As :meth:`ShardWriter.add`: where the header of the ``.npz`` begins."""
        key = f"{self.first + self._videos:09}"
        self._videos += 1
        at = self._archive.offset
        packed = io.BytesIO()
        np.savez(packed, ids=symbols.astype(self.spelling.vocabulary.dtype))
        self._member(f"{key}.npz", packed.getvalue())
        record = {"name": sample.name, "clips": sample.clips}
        if sample.label is not None:
            record["class"] = sample.label
        self._member(f"{key}.json", json.dumps(record | {"meta": sample.meta}).encode())
        return at

    def _member(self, name: str, content: bytes) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(content)
        self._archive.addfile(header, io.BytesIO(content))

    def close(self) -> None:
        """End the archive."""
        self._archive.close()


class WebDatasetReader(ShardReader):
    """Reads the ``.npz`` of a video without going through the others."""

    def __init__(self, stem: Path, spelling: Spelling) -> None:
        super().__init__(stem, spelling)
        self._stream = open_regular(stem.with_suffix(TAR))
        self._size = self._stream.seek(0, io.SEEK_END)

    def video(self, sample: Sample) -> np.ndarray:
        """As :meth:`ShardReader.video`."""
        self._stream.seek(min(sample.at, self._size))
        try:
            header = self._stream.read(tarfile.BLOCKSIZE)
            size = tarfile.TarInfo.frombuf(header, "ascii", "strict").size
            if not 0 <= size <= self._size - self._stream.tell():
                raise ValueError("a member of it is longer than the file")
            with np.load(io.BytesIO(self._stream.read(size)), allow_pickle=False) as archive:
                symbols: np.ndarray = archive["ids"]
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, KeyError) as error:
            raise ValueError(f"no video lies at byte {sample.at}") from error
        if symbols.ndim != 1 or symbols.dtype != self.spelling.vocabulary.dtype:
            raise ValueError(f"the ids at byte {sample.at} are {symbols.dtype} {list(symbols.shape)}")
        return symbols
