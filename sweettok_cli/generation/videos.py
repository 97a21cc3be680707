"""Token files and shards as what a generator learns from: symbols of whole clips, held in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.packing.token_file import ENDINGS
from sweettok_cli.pipeline.plan import find_sources
from sweettok_cli.runtime import OnProgress
from sweettok_cli.sequences.sequence import VideoOrder, vocabulary_of
from sweettok_cli.sequences.shards import Shards, is_shards
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.layout import token_cost
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.video.source import MEDIA, find_files
from sweettok_cli.zoo.token_files import read_tokens


@dataclass(frozen=True)
class TokenVideo:
    """The tokens of one video, by the name of their file or in their shards, of a class or none."""

    name: str
    label: str | None
    tokens: Tokens


@dataclass(frozen=True)
class SymbolVideo:
    """The symbols of one video's clips.

    Attributes:
        name: of its file.
        label: its class, if it is of one.
        clips: int32 [n] each.
        tokens: of all clips.
        bits: true bits of these, as :class:`~sweettok_cli.tokens.layout.TokenCost` counts them.
    """

    name: str
    label: str | None
    clips: tuple[np.ndarray, ...]
    tokens: int
    bits: float

    @cached_property
    def sha256(self) -> bytes:
        """Of its symbols: the same for a copy of other name or class."""
        found = hashlib.sha256()
        for clip in self.clips:
            found.update(len(clip).to_bytes(8, "little"))
            found.update(clip.tobytes())
        return found.digest()


def read_videos(given: Sequence[Path], classes: bool, on_progress: OnProgress) -> Iterator[TokenVideo]:
    """The videos in token files, folders of them and folders of shards, one after the other.

    With ``classes``, the folder in which a file lies is its class; shards say themselves.

    Raises:
        SweettokError: one cannot be read, there are none, or shards do not say classes that are asked for.
    """
    folders = [Shards(path) for path in given if is_shards(path)]
    others = [path for path in given if not is_shards(path)]
    files = find_token_files(others) if others or not folders else []
    total = len(files) + sum(len(shard.clips) for folder in folders for shard in folder.shards)
    done = 0
    for path in files:
        yield TokenVideo(str(path), path.absolute().parent.name if classes else None, read_tokens(path))
        on_progress(done := done + 1, total)
    for folder in folders:
        if classes and not folder.spelling.classes:
            raise SweettokError(
                f"{folder.folder} does not say of which classes its videos are; export the tokens with "
                "--classes, or leave classes out."
            )
        for shard in folder.shards:
            reader = folder.open(shard)
            for sample in folder.samples(shard):
                label = sample.label if classes else None
                yield TokenVideo(str(folder.folder / sample.name), label, folder.tokens(reader, sample))
                on_progress(done := done + 1, total)


def find_token_files(given: Sequence[Path]) -> list[Path]:
    """Token files as given, and those in and below folders, each once, as :func:`find_sources` finds them.

    Raises:
        SweettokError: something is not there or cannot be read, or there are none.
    """

    def refuse(path: Path, reason: str) -> None:
        raise SweettokError(reason)

    sources = (each.source for each in find_sources(given, frozenset(ENDINGS), refuse))
    found = [source for source in sources if isinstance(source, Path)]
    video = next((path for path in found if path.suffix.lower() in MEDIA), None)
    if video is None and not found:
        video = next(
            (path for folder in given if folder.is_dir() for path in find_files(folder, MEDIA)), None
        )
    if video is not None:
        source = next((path for path in given if path in (video, *video.parents)), video)
        raise SweettokError(
            f"{video} is a video or picture, and a generator learns from tokens; encode it with "
            f"`sweettok encode {shlex.quote(str(source))} -o tokens/ --fixed`, and give that folder."
        )
    if not found:
        raise SweettokError(
            f"There are no token files ({', '.join(ENDINGS)}) in {', '.join(map(str, given))}; make some "
            "with `sweettok encode`."
        )
    return found


class SymbolVideos:
    """Videos that are all spelt in one way: of one model, one size, one layout.

    Attributes:
        like: what a token file of one clip says of itself; its rate is that which most videos have.
        order: of their symbols; its vocabulary has the classes of the videos.
        videos: what there is.

    Args:
        given: what there is, at least one.
        like: as above, if it is known before.
        classes: likewise.

    Raises:
        SweettokError: a video is spelt in another way than ``like`` or the first.
    """

    def __init__(
        self,
        given: Iterable[TokenVideo],
        like: TokenMeta | None = None,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        self.videos: list[SymbolVideo] = []
        rates: Counter[Fraction] = Counter()
        order: VideoOrder | None = None
        for video in given:
            meta = video.tokens.meta
            try:
                first = one_clip(meta) if like is None else like
                order = order or VideoOrder.of(vocabulary_of(first), first)
                check_alike(meta, first, order.vocabulary)
            except TokenFault as fault:
                raise SweettokError(f"{video.name} {fault.problem}; {fault.remedy}.") from fault
            like = first
            rates[meta.rate] += 1
            clips = tuple(clip.astype(np.int32) for clip in order.clips(video.tokens))
            cost = token_cost(meta)
            self.videos.append(SymbolVideo(video.name, video.label, clips, cost.tokens, cost.bits))
        assert like is not None
        self.like = dataclasses.replace(like, rate=rates.most_common(1)[0][0])
        labels = {video.label for video in self.videos if video.label is not None}
        known = tuple(sorted(labels)) if classes is None else classes
        self.order = VideoOrder.of(vocabulary_of(like, known), like)


def check_alike(meta: TokenMeta, like: TokenMeta, vocabulary: Vocabulary) -> None:
    """Raise :class:`TokenFault` unless tokens of clips are spelt as those of ``like`` are.

    ``vocabulary`` is of ``like``.
    """
    if meta.image or meta.overlap:
        what = "a single picture" if meta.image else "clips that overlap"
        raise TokenFault(f"holds {what}, which no generator knows", "encode videos, without an overlap")
    if meta.weights_sha256 == like.weights_sha256 and bool(meta.levels) != bool(like.levels):
        raise TokenFault(*(_LEVELLED if meta.levels else _FIXED))
    vocabulary.check(meta.family, meta.weights_sha256, meta.codebooks)
    if any(getattr(meta, name) != getattr(like, name) for name in ("clip_frames", "shapes", "levels")):
        raise TokenFault(
            f"has clips of {_described(meta)}, where {_described(like)} are wanted",
            "encode all videos at one size, and all of them with --fixed or none",
        )


_LEVELLED = (
    "has levels of detail, where the fixed layout is wanted",
    "encode its source with --fixed",
)
_FIXED = (
    "has the fixed layout, where levels of detail are wanted",
    "encode its source without --fixed, or those of all of them with --fixed",
)


def _described(meta: TokenMeta) -> str:
    kind = "with" if meta.levels else "without"
    return f"{meta.clip_frames} frames of {meta.padded_width}x{meta.padded_height} {kind} levels"


def one_clip(meta: TokenMeta) -> TokenMeta:
    """What the tokens of one whole clip would say of themselves, of a size without padding."""
    return dataclasses.replace(
        meta,
        source="",
        width=meta.padded_width,
        height=meta.padded_height,
        frames=meta.clip_frames,
        time_base=None,
        times=None,
        rows={name: (0,) * levels for name, levels in meta.levels.items()},
        budget="",
    )
