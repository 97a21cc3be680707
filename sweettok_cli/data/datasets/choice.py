"""Data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sweettok_cli.data.datasets import davis, folder, imagenet, k600, mcl_jcv, ucf101
from sweettok_cli.data.datasets.dataset import DataSet, Source
from sweettok_cli.errors import SweettokError

Load = Callable[[Path, "str | None"], DataSet]

DATA_SETS: dict[str, tuple[Source, Load]] = {
    "ucf101": (ucf101.SOURCE, ucf101.load),
    "k600": (k600.SOURCE, k600.load),
    "imagenet": (imagenet.SOURCE, imagenet.load),
    "mcl-jcv": (mcl_jcv.SOURCE, mcl_jcv.load),
    "davis": (davis.SOURCE, davis.load),
}
"""Where each comes from, and what finds its items."""


def open_dataset(target: str, data: Path | None = None, split: str | None = None) -> DataSet:
    """A data set by its name, or any folder or file by its path.

    Args:
        target: a key of :data:`DATA_SETS`, or a path; ``./ucf101`` is a path.
        data: the folder of a named data set.
        split: which part of a named data set; by default the one that papers report on.

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
        return folder.load(Path(target))
    source, load = DATA_SETS[target.lower()]
    if data is None:
        raise SweettokError(
            f"{source.title} is not fetched by itself; {source.remedy}, and pass the folder with --data DIR."
        )
    if not data.is_dir():
        raise source.missing(data, "there is no such folder")
    return load(data, split)
