"""What a run was started with, beside its recipe's numbers: where its data lie and what it began from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweettok_cli.data.runs import RECORD_FILE
from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.runtime import __version__


@dataclass(frozen=True)
class RunRecord:
    """Paths as they were given, made absolute; what was not given is None."""

    data: tuple[str, ...]
    val: str | None = None
    init: str | None = None
    prior: str | None = None
    recipe: str | None = None  # the shipped one that it was started with
    processes: int | None = None  # that train together

    @classmethod
    def of(cls, data: list[Path], val: Path | None, init: Path | None, prior: Path | None) -> RunRecord:
        """The record of a run that is started with these, by a recipe that is not shipped."""
        one = [None if path is None else str(path.absolute()) for path in (val, init, prior)]
        return cls(tuple(str(path.absolute()) for path in data), one[0], one[1], one[2])

    def write(self, folder: Path) -> None:
        """Into a run's folder."""
        with atomic_output(folder / RECORD_FILE, force=True) as part:
            document = {"sweettok": __version__, **asdict(self)}
            part.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_record(folder: Path) -> RunRecord | None:
    """The record in a run's folder; None in those of older versions.

    Raises:
        SweettokError: it is damaged.
    """
    path = folder / RECORD_FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data = tuple(map(str, document["data"]))
        rest = {name: document.get(name) for name in ("val", "init", "prior", "recipe")}
        if not all(value is None or isinstance(value, str) for value in rest.values()):
            raise ValueError("a path or a name is no text")
        processes = document.get("processes")
        if not (processes is None or (isinstance(processes, int) and processes > 0)):
            raise ValueError("processes is no number of them")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweettokError(
            f"{path} cannot be read ({error}); delete it and say with --data and --val what the run uses."
        ) from error
    return RunRecord(data, **rest, processes=processes)
