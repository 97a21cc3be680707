"""A folder of shards: videos as symbols, the vocabulary they are spelt with, and what gives back token files.

========================  =================================================================================
``vocabulary.json``       what every symbol is
``tokens-00000.*``        the first shard, in the files of its format
``tokens-00000.jsonl``    a line for each of its videos: name, class, clips, description of the token file
``shards.json``           format and order, and of each shard its files with their SHA-256, and the clips
                          of each video; written last
========================  =================================================================================
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import FolderKind, atomic_folder, read_json, sha256_file
from sweettok_cli.sequences.megatron import MegatronReader, MegatronWriter
from sweettok_cli.sequences.parquet import ParquetReader, ParquetWriter, arrow
from sweettok_cli.sequences.sequence import VideoOrder, vocabulary_of
from sweettok_cli.sequences.shard import Sample, ShardReader, ShardWriter, Spelling
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.sequences.webdataset import WebDatasetReader, WebDatasetWriter
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.meta import TokenMeta, Tokens

FORMATS: dict[str, tuple[type[ShardWriter], type[ShardReader]]] = {
    "webdataset": (WebDatasetWriter, WebDatasetReader),
    "parquet": (ParquetWriter, ParquetReader),
    "megatron": (MegatronWriter, MegatronReader),
}
#: Bytes of the symbols of a shard, about, by default. Of Megatron there is one shard: its users name each.
SHARD_BYTES = {"webdataset": 256_000_000, "parquet": 256_000_000}
VOCABULARY, RECORD = "vocabulary.json", "shards.json"
SAMPLES = ".jsonl"
ORDER = "begin, class or any, clip 1, <clip>, clip 2, ..., <clip>, clip n, end; see docs/shards.md"
_FORMAT, _VERSION = "sweettok-shards", 1
_STEM = re.compile(r"tokens-[0-9]{5,9}")
_REMEDY = "export the tokens again"
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class _ShardFolder(FolderKind):
    """Knows its shards by the form of their names."""

    def owns(self, entry: Path) -> bool:
        ours = _STEM.fullmatch(entry.stem) and entry.suffix in {SAMPLES, *_endings()}
        return bool(ours and entry.is_file()) or super().owns(entry)


def _endings() -> set[str]:
    return {ending for writer, _ in FORMATS.values() for ending in writer.endings}


FOLDER = _ShardFolder("folder of shards", frozenset({VOCABULARY, RECORD}), RECORD)


def is_shards(path: Path) -> bool:
    """Whether a folder is one of shards, by the record that is written last."""
    return (path / RECORD).is_file()


def check_kind(kind: str) -> None:
    """Raise :class:`SweettokError` where a package is missing that shards of this kind need."""
    if FORMATS[kind][0] is ParquetWriter:
        arrow()


def spelling_of(videos: Iterable[tuple[str, str | None, TokenMeta]]) -> Spelling | None:
    """How videos are spelt together; None where there are none.

    Args:
        videos: of each, what to call it in a message, its class, and the description of its tokens.

    Raises:
        SweettokError: they are not of one model, or one has no order.
    """
    kinds: dict[Any, tuple[str, TokenMeta]] = {}  # the first of each
    labels: set[str] = set()
    for name, label, meta in videos:
        tables = (tuple(table.items()) for table in (meta.codebooks, meta.shapes, meta.levels))
        kinds.setdefault((meta.family, meta.weights_sha256, *tables), (name, meta))
        labels |= {label} if label is not None else set()
    known = list(kinds.values())
    if not known:
        return None
    lengths: set[int | None] = set()
    for name, meta in known:
        with _about(name):
            lengths.add(VideoOrder.of(vocabulary_of(meta), meta).clip.length)
    # In the fixed layout, a model with levels uses some of its lists.
    largest = max((meta for _, meta in known), key=lambda meta: len(meta.codebooks))
    vocabulary = vocabulary_of(largest, tuple(sorted(labels)))
    for name, meta in known:
        with _about(name):
            vocabulary.check(meta.family, meta.weights_sha256, meta.codebooks)
    return Spelling(vocabulary, lengths.pop() if len(lengths) == 1 else None, bool(labels))


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Errors about tokens name their file."""
    try:
        yield
    except TokenFault as fault:
        raise SweettokError(f"{name} {fault.problem}; {fault.remedy}.") from fault
    except ValueError as error:
        raise SweettokError(f"{name} cannot be written as symbols ({error}); leave it out.") from error


@dataclass(frozen=True)
class ShardPlan:
    """How a folder of shards is written.

    Attributes:
        kind: a key of :data:`FORMATS`.
        spelling: of all videos.
        shard_bytes: of the symbols of a shard, about; None puts all into one.
        tile: side in pixels of the model's tiles, if it has any.
        made_of: of a data set, a digest of what the shards are made of.
    """

    kind: str
    spelling: Spelling
    shard_bytes: int | None = None
    tile: int | None = None
    made_of: str = ""


def write_shards(
    folder: Path, plan: ShardPlan, videos: Iterable[tuple[str, str | None, Tokens]], force: bool = False
) -> dict[str, Any]:
    """Write a folder of shards, whole or not at all; returns what ``shards.json`` says.

    Args:
        folder: to be written.
        plan: how.
        videos: name, class and tokens of each, all of them spelt as the plan says; at least one.
        force: replace a folder of shards that is there.

    Raises:
        SweettokError: the folder is there without ``force``, holds anything else or cannot be written, or
            pyarrow is missing.
    """
    spelling, vocabulary = plan.spelling, plan.spelling.vocabulary
    with atomic_folder(folder, FOLDER, force) as part, ExitStack() as last:
        shards: list[dict[str, Any]] = []
        out: _Out | None = None
        videos_before = 0
        for name, label, tokens in videos:
            symbols = VideoOrder.of(vocabulary, tokens.meta).write(tokens, label)
            size = len(symbols) * vocabulary.dtype.itemsize
            if out is None or (plan.shard_bytes is not None and out.bytes + size > plan.shard_bytes):
                last.close()
                shards += [out.record] if out else []
                out = last.enter_context(closing(_Out(part, plan, len(shards), videos_before)))
            out.add(Sample(name, label, tokens.meta.to_json(), tokens.meta.clips), symbols)
            videos_before += 1
        last.close()
        if out is None:
            raise SweettokError(
                f"There is nothing to write into {folder}; give token files that can be read."
            )
        shards.append(out.record)
        (part / VOCABULARY).write_text(vocabulary.to_json(), encoding="utf-8")
        record = {
            "format": _FORMAT,
            "version": _VERSION,
            "kind": plan.kind,
            "order": ORDER,
            "clip_symbols": spelling.length,
            "tile": plan.tile,
            "videos": videos_before,
            "clips": sum(sum(shard["clips"]) for shard in shards),
            "symbols": sum(shard["symbols"] for shard in shards),
            "shards": shards,
            **({"made_of": plan.made_of} if plan.made_of else {}),
        }
        (part / RECORD).write_text(json.dumps(record) + "\n", encoding="ascii")
    return record


class _Out:
    """A shard that is being written."""

    def __init__(self, folder: Path, plan: ShardPlan, number: int, first: int) -> None:
        stem = folder / f"tokens-{number:05}"
        self._stem, self._itemsize = stem, plan.spelling.vocabulary.dtype.itemsize
        self._writer = FORMATS[plan.kind][0](stem, plan.spelling, first)
        self._samples = open(stem.with_suffix(SAMPLES), "w", encoding="ascii")  # noqa: SIM115
        self._clips: list[int] = []
        self._symbols = 0

    @property
    def bytes(self) -> int:
        """Of all symbols so far."""
        return self._symbols * self._itemsize

    def add(self, sample: Sample, symbols: np.ndarray) -> None:
        """Write a video."""
        at = self._writer.add(sample, symbols)
        self._samples.write(replace(sample, at=at).to_json())
        self._clips.append(sample.clips)
        self._symbols += len(symbols)

    def close(self) -> None:
        """End all files."""
        self._samples.close()
        self._writer.close()

    @property
    def record(self) -> dict[str, Any]:
        """What ``shards.json`` says of it, once it is closed."""
        files = [self._stem.with_suffix(ending) for ending in (*self._writer.endings, SAMPLES)]
        stated = {file.name: {"bytes": file.stat().st_size, "sha256": sha256_file(file)} for file in files}
        return {"stem": self._stem.name, "symbols": self._symbols, "clips": self._clips, "files": stated}


@dataclass(frozen=True)
class Shard:
    """What ``shards.json`` says of a shard.

    Attributes:
        stem: of its files.
        clips: of each of its videos, int64 [videos].
        files: bytes and SHA-256 of each, by name.
    """

    stem: Path
    clips: np.ndarray
    files: dict[str, tuple[int, str]]


class Shards:
    """A folder of shards, to be read. Of what others wrote nothing is believed.

    Raises:
        SweettokError: it is none, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / RECORD
        if not is_shards(folder):
            raise SweettokError(f"{folder} is no folder of shards; give one that `sweettok export` wrote.")
        record = read_json(path, _REMEDY)
        if (record.get("format"), record.get("version")) != (_FORMAT, _VERSION):
            raise SweettokError(f"{path} is of another program or version; {_REMEDY}, or update sweettok.")
        vocabulary = self._vocabulary()
        try:
            self.kind = str(record["kind"])
            self._reader = FORMATS[self.kind][1]
            self._endings = FORMATS[self.kind][0].endings
            length, self.tile = (_whole(record[name]) for name in ("clip_symbols", "tile"))
            self.shards = [self._shard(one) for one in record["shards"]]
        except _DAMAGE as error:
            raise SweettokError(f"{path} is damaged ({_why(error)}); {_REMEDY}.") from error
        self.spelling = Spelling(vocabulary, length, bool(vocabulary.classes))
        self.made_of = str(record.get("made_of", ""))
        self.digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def _vocabulary(self) -> Vocabulary:
        path = self.folder / VOCABULARY
        try:
            return Vocabulary.from_json(path.read_text(encoding="utf-8"))
        except _DAMAGE as error:
            raise SweettokError(f"{path} cannot be used ({_why(error)}); {_REMEDY}.") from error

    def _shard(self, record: Any) -> Shard:
        stem = record["stem"]
        if not _STEM.fullmatch(stem):
            raise ValueError(f"it has a shard {brief(stem)}")
        clips = record["clips"]
        if not clips or any(type(many) is not int or not 1 <= many < 1 << 40 for many in clips):
            raise ValueError(f"it does not give the clips of {stem}")
        files = {stem + ending: record["files"][stem + ending] for ending in (*self._endings, SAMPLES)}
        stated = {name: (int(about["bytes"]), str(about["sha256"])) for name, about in files.items()}
        return Shard(self.folder / stem, np.array(clips, np.int64), stated)

    def open(self, shard: Shard) -> ShardReader:
        """Its symbols.

        Raises:
            SweettokError: it is missing or damaged, or of another length than it was.
        """
        self.check_sizes(shard)
        with self.reading(shard.stem.name + self._endings[0]):
            return self._reader(shard.stem, self.spelling)

    def check_sizes(self, shard: Shard) -> None:
        """Raise :class:`SweettokError` where a file of a shard is missing or has another length."""
        for name, (size, _) in shard.files.items():
            with self.reading(name):
                found = (self.folder / name).stat().st_size
                if found != size:
                    raise ValueError(f"it has {found} bytes, not {size}")

    def check(self, shard: Shard) -> None:
        """Raise :class:`SweettokError` unless every byte of a shard is as it was written."""
        for name, (_, sha256) in shard.files.items():
            with self.reading(name):
                if sha256_file(self.folder / name) != sha256:
                    raise ValueError("its SHA-256 is another one")

    def samples(self, shard: Shard) -> list[Sample]:
        """Its videos.

        Raises:
            SweettokError: the file of them is missing or damaged.
        """
        with self.reading(shard.stem.name + SAMPLES):
            lines = shard.stem.with_suffix(SAMPLES).read_text(encoding="ascii").splitlines()
            found = list(map(Sample.from_json, lines))
            if [sample.clips for sample in found] != shard.clips.tolist():
                raise ValueError(f"its videos are not those of {RECORD}")
        return found

    def tokens(self, reader: ShardReader, sample: Sample) -> Tokens:
        """What the token file of a video held.

        Raises:
            SweettokError: its symbols are no video, or not those of its description.
        """
        with self.reading_video(reader, sample):
            meta = sample.described()
            order = VideoOrder.of(self.spelling.vocabulary, meta)
            arrays, label = order.read(reader.video(sample))
            if label != sample.label:
                raise ValueError(f"it is of the class {label}, not {sample.label}")
            found = Tokens({name: array.astype(meta.dtype(name)) for name, array in arrays.items()}, meta)
            found.check()
        return found

    @contextmanager
    def reading(self, name: str, what: str = "") -> Iterator[None]:
        """In the block, whatever is wrong with a file is said in one sentence that names it."""
        try:
            yield
        except _DAMAGE as error:
            why = f"{what}{_why(error)}"
            raise SweettokError(f"{self.folder / name} is damaged ({why}); {_REMEDY}.") from error

    def reading_video(self, reader: ShardReader, sample: Sample) -> AbstractContextManager[None]:
        """As :meth:`reading`, of one video."""
        return self.reading(reader.stem.name + self._endings[0], f"of {brief(sample.name)}: ")


def _whole(value: Any) -> int | None:
    """A positive number, or None."""
    if value is not None and (type(value) is not int or not 0 < value < 1 << 40):
        raise ValueError(f"it says {brief(value)} where a whole number is due")
    return value


def _why(error: BaseException) -> str:
    """What is wrong, in a few words."""
    if isinstance(error, TokenFault):
        return f"it {error.problem}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
