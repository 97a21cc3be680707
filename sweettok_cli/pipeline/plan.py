"""Which output is made of which source: a function of the source's own name, whatever lies beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from sweettok_cli.data.members import compressed_tar
from sweettok_cli.errors import SweettokError, WrongUsage
from sweettok_cli.files import check_ending
from sweettok_cli.packing.token_file import ENDINGS, PLAIN, each_once
from sweettok_cli.pipeline.collection import TAR, is_collection, listed_in
from sweettok_cli.pipeline.member import Source, TarMember
from sweettok_cli.video.images import WRITTEN
from sweettok_cli.video.inputs import Given
from sweettok_cli.video.pipe import Pipe
from sweettok_cli.video.remote import RemoteFile
from sweettok_cli.video.sequence import FrameSequence, find_sequences, is_pattern
from sweettok_cli.video.source import MEDIA, find_files, missing
from sweettok_cli.video.writer import VIDEO_ENDINGS

#: What tokens of a video, and of a picture, are decoded to by the ending of the file.
VIDEO_KINDS = (*VIDEO_ENDINGS, ".gif", ".npy")
PICTURE_KINDS = (*sorted(WRITTEN), ".npy")
# What looks like the ending of a file is no folder's name unless a slash says so.
_ENDING = re.compile(r"\.[a-z][a-z0-9]{1,4}", re.IGNORECASE)


@dataclass(frozen=True)
class Job:
    """One source and the file to make of it; numbered pictures where that is a pattern."""

    source: Source
    output: Path

    @property
    def claim(self) -> Path:
        """What to claim while the output is made; the folder of numbered pictures may not be there yet."""
        if not is_pattern(self.output):
            return self.output
        folder = self.output.parent.absolute()
        return folder.with_name(f"{folder.name}.{self.output.name}")


@dataclass(frozen=True)
class Refusal:
    """What was given or found and cannot even be tried."""

    source: Given | TarMember
    error: SweettokError
    output: Path | None = None  # where it would go, if that is not another source's


def token_stem(source: Source) -> str:
    """What the outputs of a source are called, but for their endings: its name, without .mp4 or .MP4.

    Any other ending stays (``a.avi``), so that sources of one folder hardly meet, and stays where another
    comes before .mp4 (``a.avi.mp4``). A folder of frames is ``a.frames``.
    """
    name = source.name
    if isinstance(source, FrameSequence) and not is_pattern(source.path):
        return f"{source.path.resolve().name}.frames"
    stem = without_ending(name, ".mp4")
    return name if Path(stem).suffix.lower() in MEDIA else stem


def without_ending(name: str, ending: str) -> str:
    """A file's name without an ending, however that is spelt: cameras write ``.MP4``."""
    return name[: -len(ending)] if name.lower().endswith(ending) else name


def token_name(tokens_file: Path) -> str:
    """What outputs made of a token file are called, but for their endings."""
    name = tokens_file.name
    return next((stem for ending in ENDINGS if (stem := without_ending(name, ending)) != name), name)


@dataclass(frozen=True)
class Outputs:
    """Where outputs go: beside their sources, into a folder, or one to a file.

    ``folder`` and ``file`` are not both given.
    """

    folder: Path | None = None
    file: Path | None = None

    @classmethod
    def named(cls, output: Path | None, kinds: Sequence[str], to_folder: bool, single: bool) -> Outputs:
        """What ``-o`` means, for one source as for many.

        A name that ends in one of ``kinds`` is that of a file, any other a folder's; one that is there, or
        was given with a slash behind it (``to_folder``), is a folder.

        Raises:
            WrongUsage: it is a file's name, and there may be many outputs; or it ends like a file of another
                kind, or is a file.
        """
        if output is None:
            return cls()
        if str(output) == "-":
            raise WrongUsage("Files are written, not stdout; name one, or a folder, with -o.")
        if to_folder or output.is_dir():
            if output.exists() and not output.is_dir():
                raise WrongUsage(f"{output} is a file; give a folder with -o.")
            return cls(folder=output)
        ending = output.suffix.lower()
        if ending in kinds or (is_pattern(output) and ".mp4" in kinds):
            if not single:
                if output.exists():
                    raise WrongUsage(f"{output} is a file; give a folder with -o.")
                raise WrongUsage(
                    f"{output} names one file, and there may be several; name a folder with -o, or end it "
                    "with / to make it one."
                )
            return cls(file=output)
        if output.exists():
            raise WrongUsage(f"{output} is a file; give a folder with -o.")
        if _ENDING.fullmatch(ending):
            check_ending(output, kinds, "name it so, or end it with / to make it a folder")
        return cls(folder=output)

    def place(self, source: Source, relative: Path, name: str) -> Path:
        """The output of a source, called ``name`` unless ``-o`` says otherwise.

        ``relative`` is the folder below the output's in which it lies. What comes from elsewhere lies in the
        working folder.
        """
        if self.file is not None:
            return self.file
        if self.folder is not None:
            return self.folder / relative / name
        if isinstance(source, RemoteFile | Pipe):
            return relative / name
        if isinstance(source, TarMember):
            return source.tar.parent / source.folder / name
        path = source.path if isinstance(source, FrameSequence) else source
        return (path if path.name not in ("", "..") else path.resolve()).parent / name


@dataclass(frozen=True)
class Found:
    """A source, and the folder below that of the outputs in which its output belongs."""

    source: Source
    relative: Path
    fault: str = ""  # why it cannot be tried, in a sentence; of collections alone
    given: int = 0  # where among what was given


def is_batch(inputs: Sequence[Given], verb: str = "encode", frames: bool = False) -> bool:
    """Whether there may be many files: one that fails does not stop the others."""
    if not inputs:
        raise SweettokError(f"There is nothing to {verb}; name at least one file or folder.")
    if frames and len(inputs) == 1 and isinstance(inputs[0], Path) and inputs[0].is_dir():
        return find_sequences(inputs[0]) != [*inputs]
    return len(inputs) > 1 or is_many(inputs[0])


def is_many(given: Given) -> bool:
    """Whether this is a folder, or a tar file or list of videos."""
    return given.is_dir() or (isinstance(given, Path) and is_collection(given))


def find_sources(
    inputs: Sequence[Given],
    endings: frozenset[str],
    refuse: Callable[[Any, str], None],
    rate: Fraction | None = None,
    frames: bool = False,
    collections: bool = False,
) -> Iterator[Found]:
    """The files given, and those in the folders given whose names end so; each once, folders sorted by name.

    Of several folders each keeps its name, as ``cp -r`` does. With ``frames`` every folder that holds
    pictures is a video; patterns of numbered pictures always are. With ``collections``, tar files and lists
    that are given stand for the videos in them, and so do tar files in folders; and what has an output of its
    own and cannot be tried is found, too.
    """
    met: set[object] = set()

    def unreadable(error: OSError) -> None:
        refuse(
            Path(error.filename),
            f"{error.filename} cannot be read ({error.strerror}); check its permissions.",
        )

    def new(source: object) -> bool:
        seen = source in met
        met.add(source)
        return not seen

    def sequence(path: Path, relative: Path) -> Iterator[Found]:
        try:
            if new(path):
                yield Found(FrameSequence.of(path, rate), relative)
        except SweettokError as error:
            refuse(path, str(error))

    def held(path: Path, relative: Path) -> Iterator[Found]:
        for each in listed_in(path, refuse):
            if new((each.source, each.fault) if each.fault else Path(str(each.source))):
                yield Found(each.source, relative / each.relative, each.fault)

    def found_in(given: Given) -> Iterator[Found]:
        if not isinstance(given, Path):
            away = _elsewhere(given, endings, refuse, len(inputs) > 1)
            yield from (found for found in away if new(found.source))
            return
        inside = Path(given.resolve().name) if len(inputs) > 1 else Path()
        if given.is_dir() and frames:
            for folder in find_sequences(given, unreadable):
                below = folder.relative_to(given)
                yield from sequence(folder, inside / below.parent if below.name else Path())
        elif given.is_dir():
            wanted = endings | {TAR} if collections else endings
            for source in filter(new, each_once(find_files(given, wanted, unreadable))):
                below = inside / source.relative_to(given).parent
                if collections and is_collection(source):
                    yield from held(source, below)
                else:
                    yield Found(source, below)
        elif is_pattern(given) and not given.exists():
            yield from sequence(given, Path())
        elif not given.exists():
            if collections and not is_collection(given):
                yield Found(given, Path(), missing(given))
            else:
                refuse(given, missing(given))
        elif collections and (why := compressed_tar(given)) is not None:
            refuse(given, why)
        elif frames:
            refuse(given, f"{given} is no folder of pictures; encode it without --frames-of.")
        elif new(given):
            yield from held(given, Path()) if collections and is_collection(given) else [Found(given, Path())]

    for place, given in enumerate(inputs):
        for found in found_in(given):
            yield replace(found, given=place)


def _elsewhere(
    given: RemoteFile | Pipe, endings: frozenset[str], refuse: Callable[[Any, str], None], several: bool
) -> Iterator[Found]:
    """A pipe, or the file at an address, or those in a folder there."""
    try:
        if isinstance(given, Pipe) or not given.is_dir():
            yield Found(given, Path())
            return
        for file, below in given.find(endings):
            yield Found(file, Path(given.name, below) if several else below)
    except SweettokError as error:
        refuse(given, str(error))


def plan_jobs(
    inputs: Sequence[Given],
    output: Path | None,
    to_folder: bool = False,
    *,
    frames: bool = False,
    rate: Fraction | None = None,
    ending: str = PLAIN,
) -> tuple[list[Job], list[Refusal]]:
    """Lay out where the token file of every source goes; nothing is made or checked yet.

    A token file is called as :func:`token_stem` says and lies beside its source, or is ``output``, or lies in
    the folder ``output``, which keeps the structure of the folders given. Of what lies in a tar file it lies
    in a folder of that file's name; of what a list names, in the folders that stand before its name there.

    Args:
        inputs: files, folders, tar files, lists, addresses of files and folders, patterns of numbered
            pictures, a pipe; at least one.
        output: see :meth:`Outputs.named`, like ``to_folder``.
        frames: each folder of pictures is a video.
        rate: of those, in frames a second.
        ending: of token files, that of plain ones or of packed ones.

    Returns:
        Jobs in the order of what was given, folders sorted by name; and what cannot even be tried.

    Raises:
        SweettokError: ``output`` has the wrong kind, or nothing is left to do.
    """
    outputs = Outputs.named(output, (ending,), to_folder, not is_batch(inputs, frames=frames))
    refused: list[Refusal] = []

    def refuse(source: Given | TarMember, reason: str, output: Path | None = None) -> None:
        refused.append(Refusal(source, SweettokError(reason), output))

    taken: dict[Path, tuple[Job, int]] = {}
    for found in find_sources(inputs, MEDIA, refuse, rate, frames, collections=True):
        target = outputs.place(found.source, found.relative, token_stem(found.source) + ending)
        source = found.source.path if isinstance(found.source, FrameSequence) else found.source
        if found.fault:
            refuse(source, found.fault, target)
            continue
        job = Job(found.source, target)
        other, given = taken.setdefault(target, (job, found.given))
        if other is not job:
            how = "rename one of them" if given == found.given else "give another folder with -o"
            refuse(source, f"{source} would become {target} as {other.source} does; {how}.")
    if not taken and not refused:
        raise SweettokError(f"{inputs[0]} holds no video or image; name files with other endings one by one.")
    refused = [replace(each, output=None) if each.output in taken else each for each in refused]
    return [job for job, _ in taken.values()], refused
