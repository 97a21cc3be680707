"""What can be measured: published data sets in their official layouts, and any folder."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import is_file
from sweettok_cli.video.sequence import find_sequences, is_pattern
from sweettok_cli.video.source import MEDIA, VIDEOS, check_readable, find_files


@dataclass(frozen=True)
class Item:
    """One video or picture."""

    name: str  # unique within the data set, the same on every machine
    path: Path  # a file; or a folder or pattern of numbered pictures that are the frames of one video
    label: str | None = None  # its class, where the data set has classes
    rate: Fraction | None = None  # frames a second, where the files do not say it
    keep_going: bool = False  # take what is left of a file that is cut short
    strict: bool = False  # refuse a file of which anything is missing


@dataclass(frozen=True)
class DataSet:
    """Things to measure, in a fixed order."""

    name: str  # as given to ``sweettok eval``, or the folder's own
    items: list[Item]  # at least one
    split: str | None = None  # which part of the data set, where it has parts
    notes: list[str] = field(default_factory=list)  # on these copies, e.g. how many files are missing
    known: bool = True  # whether it is one of the published data sets, and not any folder
    root: Path = Path()  # the folder or the file that was given


@dataclass(frozen=True)
class Source:
    """Where a data set comes from."""

    title: str  # its name in print
    splits: tuple[str, ...]  # parts that can be asked for; the first is measured by default
    remedy: str  # where to download it and how to lay it out, to follow a semicolon

    def missing(self, root: Path, what: str) -> SweettokError:
        """The error for a folder that lacks ``what``."""
        return SweettokError(f"{root} does not hold {self.title}: {what}; {self.remedy}.")


def _first_existing(candidates: Iterable[Path]) -> Path | None:
    return next((path for path in candidates if path.exists()), None)


def _read_lines(path: Path) -> list[str]:
    """The lines of a list, without blanks."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SweettokError(f"The list {path} cannot be read ({error}); download it again.") from error
    return [line.strip() for line in lines if line.strip()]


def _shortfall(found: int, listed: int, noun: str) -> list[str]:
    """A note where not everything that the published list holds was found."""
    if found >= listed:
        return []
    return [f"{found} of {listed} {noun} are here; figures of the whole set may differ."]


_UCF101 = Source(
    "UCF-101",
    ("test", "train", "test02", "train02", "test03", "train03"),
    "download UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip from "
    "https://www.crcv.ucf.edu/data/UCF101.php and unpack both into one folder, so that it holds "
    "UCF-101/CLASS/v_*.avi and ucfTrainTestlist/testlist01.txt",
)


#: Videos of the official lists; one that was cut down is no longer the protocol's.
_UCF101_LISTED = {
    **{"testlist01.txt": 3783, "testlist02.txt": 3734, "testlist03.txt": 3696},
    **{"trainlist01.txt": 9537, "trainlist02.txt": 9586, "trainlist03.txt": 9624},
}


def _ucf101(root: Path, split: str) -> DataSet:
    """The videos of a list: ``test`` is testlist01 (3,783 videos), ``train`` trainlist01 (9,537)."""
    kind, number = split[: len("train") if split.startswith("train") else len("test")], split[-2:]
    file = f"{kind}list{number if number.isdigit() else '01'}.txt"
    listed_in = _first_existing(
        place / file for place in (root / "ucfTrainTestlist", root, root.parent / "ucfTrainTestlist")
    )
    if listed_in is None:
        raise _UCF101.missing(root, f"there is no ucfTrainTestlist/{file}")
    # A line of a training list is "CLASS/v_NAME.avi NUMBER", of a test list the name alone.
    names = [line.split()[0] for line in _read_lines(listed_in)]
    videos = next((f for f in (root / "UCF-101", root) if any(is_file(f / name) for name in names)), None)
    if videos is None:
        raise _UCF101.missing(root, f"none of the videos in {file} is there")
    items = [Item(name, videos / name, label=name.split("/")[0]) for name in names if is_file(videos / name)]
    return DataSet("ucf101", items, split, _shortfall(len(items), _UCF101_LISTED[file], f"videos of {file}"))


_K600 = Source(
    "Kinetics-600",
    ("val", "test", "train"),
    "get the lists and clips with https://github.com/cvdfoundation/kinetics-dataset "
    "(k600_downloader.sh and k600_extractor.sh), so that the folder holds annotations/val.csv and, "
    "anywhere below it, clips named ID_START_END.mp4 such as 0wR5jVB-WPk_000417_000427.mp4",
)

#: Clips of the copy that is named above; what has vanished from YouTube is missing from most others.
_K600_LISTED = {"val": 29_793, "test": 72_924, "train": 427_549}
_LISTS = {"val": ("val", "validate", "validation"), "test": ("test",), "train": ("train",)}
_PREFIXES = ("", "kinetics600_", "kinetics_600_", "k600_")


def _k600(root: Path, split: str) -> DataSet:
    """The clips of a list that are on the disk; videos vanish from YouTube, and copies differ."""
    names = [f"{prefix}{stem}.csv" for stem in _LISTS[split] for prefix in _PREFIXES]
    listed_in = _first_existing(place / name for place in (root / "annotations", root) for name in names)
    if listed_in is None:
        raise _K600.missing(root, f"there is no annotations/{names[0]}")
    paths = (Path(parent, file) for parent, _, files in os.walk(root) for file in sorted(files))
    by_stem = {path.stem: path for path in paths if path.suffix.lower() in VIDEOS}
    listed = _read_k600(listed_in)
    items = [Item(stem, by_stem[stem], label) for stem, label in listed.items() if stem in by_stem]
    if not items:
        raise _K600.missing(root, f"none of the clips in {listed_in.name} is there")
    whole = max(len(listed), _K600_LISTED[split])
    return DataSet("k600", items, split, _shortfall(len(items), whole, f"clips of {listed_in.name}"))


def _read_k600(path: Path) -> dict[str, str | None]:
    """Label by the name of the clip."""
    found: dict[str, str | None] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            for row in csv.DictReader(stream):
                seconds = int(float(row["time_start"])), int(float(row["time_end"]))
                found[f"{row['youtube_id']}_{seconds[0]:06d}_{seconds[1]:06d}"] = row.get("label") or None
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise SweettokError(
            f"{path} is not a list of Kinetics-600 with the columns label, youtube_id, time_start and "
            f"time_end ({error}); download it again."
        ) from error
    return found


_IMAGENET = Source(
    "ImageNet",
    ("val",),
    "download ILSVRC2012_img_val.tar from https://image-net.org/download-images.php (an account is "
    "needed) and unpack it, so that the folder holds val/ILSVRC2012_val_00000001.JPEG, or "
    "val/nXXXXXXXX/ILSVRC2012_val_*.JPEG",
)

_PICTURES = 50_000
_PICTURE = re.compile(r"ILSVRC2012_val_\d{8}\.(jpeg|jpg|png)", re.IGNORECASE)
_CLASS = re.compile(r"n\d{8}")


def _imagenet(root: Path, split: str) -> DataSet:
    """The pictures ordered by number, whatever folders they lie in; the label is the class's WordNet id."""
    for folder in (root / "val", root / "ILSVRC" / "Data" / "CLS-LOC" / "val", root):
        found = _pictures(folder)
        if found:
            notes = _shortfall(len(found), _PICTURES, "validation pictures")
            return DataSet("imagenet", found, split, notes)
    raise _IMAGENET.missing(root, "there are no pictures named ILSVRC2012_val_*.JPEG")


def _pictures(folder: Path) -> list[Item]:
    if not folder.is_dir():
        return []
    inside = sorted(entry for entry in folder.iterdir() if _CLASS.fullmatch(entry.name) and entry.is_dir())
    items = [
        Item(path.stem, path, label=place.name if place in inside else None)
        for place in (folder, *inside)
        for path in place.iterdir()
        if _PICTURE.fullmatch(path.name)
    ]
    return sorted(items, key=lambda item: item.name)


_MCL_JCV = Source(
    "MCL-JCV",
    ("all",),
    "download the 30 source sequences from https://mcl.usc.edu/mcl-jcv-dataset/ and put them into one "
    "folder as videoSRC01*.mp4 to videoSRC30*.mp4, or bare as videoSRC01_1920x1080_30.yuv (8-bit 4:2:0; "
    "size and rate are read from the name)",
)

_SEQUENCES = 30
_SEQUENCE = re.compile(r"(videoSRC\d\d)(?!\d).*", re.IGNORECASE)


def _mcl_jcv(root: Path, split: str) -> DataSet:
    """The sequences, one file each, in the order of their numbers."""
    found: dict[str, Path] = {}
    for parent, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            named = _SEQUENCE.fullmatch(Path(file).stem)
            if named and Path(file).suffix.lower() in VIDEOS | {".yuv"}:
                found.setdefault(named[1].lower(), Path(parent, file))
    if not found:
        raise _MCL_JCV.missing(root, "there is no file named videoSRC01*")
    items = [Item(f"videoSRC{name[-2:]}", found[name]) for name in sorted(found)]
    return DataSet("mcl-jcv", items, split, _shortfall(len(items), _SEQUENCES, "sequences"))


_DAVIS = Source(
    "DAVIS 2017",
    ("val", "train", "test-dev"),
    "download DAVIS-2017-trainval-480p.zip from https://davischallenge.org/davis2017/code.html and "
    "unpack it, so that the folder holds JPEGImages/480p/bear/00000.jpg and ImageSets/2017/val.txt",
)

_DAVIS_LISTED = {"val": 30, "train": 60, "test-dev": 30}
DAVIS_RATE = Fraction(24)  # frames a second; the pictures do not say it


def _davis(root: Path, split: str) -> DataSet:
    """The sequences of a list at 480 lines."""
    listed_in = _first_existing(
        place / "ImageSets" / "2017" / f"{split}.txt" for place in (root, root / "DAVIS")
    )
    if listed_in is None:
        raise _DAVIS.missing(root, f"there is no ImageSets/2017/{split}.txt")
    pictures = listed_in.parents[2] / "JPEGImages" / "480p"
    names = _read_lines(listed_in)
    there = [name for name in names if os.path.isdir(pictures / name)]  # noqa: PTH112 - as is_file
    items = [Item(name, pictures / name, rate=DAVIS_RATE) for name in there]
    if not items:
        raise _DAVIS.missing(root, f"none of the sequences in {split}.txt is in JPEGImages/480p")
    whole = max(len(names), _DAVIS_LISTED[split])
    return DataSet("davis", items, split, _shortfall(len(items), whole, f"sequences of {split}.txt"))


def _folder(target: Path, frames: bool, rate: Fraction | None) -> DataSet:
    """The videos and pictures in a folder and the folders below it, by name; or the one file given."""
    if is_pattern(target) and not target.exists():
        return DataSet(target.name, [Item(target.name, target, rate=rate)], known=False)
    if frames:
        if not (folders := find_sequences(target) if target.is_dir() else []):
            raise SweettokError(f"{target} is no folder with numbered pictures; leave out --frames-of.")
        name = target.resolve().name
        sequences = [
            Item(path.relative_to(target).as_posix() if path != target else name, path, rate=rate)
            for path in folders
        ]
        return DataSet(name, sequences, known=False)
    if not target.is_dir() and (target.is_symlink() or target.exists()):
        check_readable(target)
        return DataSet(target.name, [Item(target.name, target)], known=False)
    if not target.is_dir():
        raise SweettokError(
            f"{target} does not exist; give a folder of videos or pictures, one of them, or the name of a "
            "data set with --data DIR."
        )
    found = find_files(target, MEDIA)
    if not found:
        raise SweettokError(f"The folder {target} holds no video or picture; give one that does.")
    items = [Item(path.relative_to(target).as_posix(), path) for path in found]
    return DataSet(target.resolve().name or str(target), items, known=False)


#: Where each comes from, and what finds its items.
DATA_SETS: dict[str, tuple[Source, Callable[[Path, str], DataSet]]] = {
    "ucf101": (_UCF101, _ucf101),
    "k600": (_K600, _k600),
    "imagenet": (_IMAGENET, _imagenet),
    "mcl-jcv": (_MCL_JCV, _mcl_jcv),
    "davis": (_DAVIS, _davis),
}


def open_dataset(
    target: str,
    data: Path | None = None,
    split: str | None = None,
    *,
    frames: bool = False,
    rate: Fraction | None = None,
) -> DataSet:
    """A data set by its name, or any folder or file by its path.

    ``./ucf101`` is a path. A named data set lies in the folder ``data``; its default part is that of papers.
    With ``frames`` every folder that holds pictures is a video of ``rate`` frames a second.

    Raises:
        SweettokError: it is not there; the sentence says where to download it and how to lay it out.
    """
    if target.lower() not in DATA_SETS:
        if data is not None or split is not None:
            what = "--data" if data is not None else "--split"
            raise SweettokError(
                f"{what} belongs to a data set, and {target} is none; name one of {', '.join(DATA_SETS)}, "
                f"or leave out {what}."
            )
        return replace(_folder(Path(target), frames, rate), root=Path(target))
    source, load = DATA_SETS[target.lower()]
    if data is None:
        raise SweettokError(
            f"{source.title} is not fetched by itself; {source.remedy}, and pass the folder with --data DIR."
        )
    if not data.is_dir():
        raise source.missing(data, "there is no such folder")
    if split is not None and split not in source.splits:
        listed = ", ".join(source.splits)
        raise SweettokError(f"{source.title} has no split {split!r} here; choose from {listed}.")
    return replace(load(data, source.splits[0] if split is None else split), root=data)
