"""UCF-101: folders of .avi by class, and the official lists of the action recognition task."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.data.datasets.dataset import (
    DataSet,
    Item,
    Source,
    first_existing,
    read_lines,
    shortfall,
)

SOURCE = Source(
    title="UCF-101",
    splits=("test", "train", "test02", "train02", "test03", "train03"),
    remedy=(
        "download UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip from "
        "https://www.crcv.ucf.edu/data/UCF101.php and unpack both into one folder, so that it holds "
        "UCF-101/CLASS/v_*.avi and ucfTrainTestlist/testlist01.txt"
    ),
)


def load(root: Path, split: str | None = None) -> DataSet:
    """The videos of a list: ``test`` is testlist01 (3,783 videos), ``train`` trainlist01 (9,537).

    Args:
        root: the folder with ``UCF-101`` and ``ucfTrainTestlist``, or ``UCF-101`` itself beside the lists.
        split: as in :data:`SOURCE`.

    Raises:
        SweettokError: videos or lists are missing.
    """
    split = SOURCE.pick_split(split)
    kind, number = split[: len("train") if split.startswith("train") else len("test")], split[-2:]
    file = f"{kind}list{number if number.isdigit() else '01'}.txt"
    listed_in = first_existing(
        place / file for place in (root / "ucfTrainTestlist", root, root.parent / "ucfTrainTestlist")
    )
    if listed_in is None:
        raise SOURCE.missing(root, f"there is no ucfTrainTestlist/{file}")
    # A line of a training list is "CLASS/v_NAME.avi NUMBER", of a test list the name alone.
    names = [line.split()[0] for line in read_lines(listed_in)]
    videos = next((f for f in (root / "UCF-101", root) if any((f / name).is_file() for name in names)), None)
    if videos is None:
        raise SOURCE.missing(root, f"none of the videos in {file} is there")
    items = [
        Item(name, videos / name, label=name.split("/")[0]) for name in names if (videos / name).is_file()
    ]
    return DataSet("ucf101", items, split, shortfall(len(items), len(names), f"videos of {file}"))
