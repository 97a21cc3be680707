"""The manifest of a data set as a table: ``manifest.parquet``, a row for every token file."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output
from sweettok_cli.holding import claimed
from sweettok_cli.pipeline.manifest import TABLE, Manifest
from sweettok_cli.pipeline.row import Row
from sweettok_cli.sequences.parquet import arrow

_GROUP = 20_000  # rows that are held until they are written
_PATIENCE = 0.2  # seconds


def write_table(manifest: Manifest) -> Path:
    """Write all that the lines in a data set's folder say, of every part, as one table, sorted by name.

    Whoever ends last has seen everything: parts that end together do it one after the other.

    Raises:
        SweettokError: pyarrow is not installed, or the table cannot be written.
    """
    pyarrow, parquet = arrow()
    kinds = {"int": pyarrow.int64(), "float": pyarrow.float64()}
    schema = pyarrow.schema(
        [(each.name, kinds.get(str(each.type), pyarrow.string())) for each in fields(Row)]
    )
    path = manifest.folder / TABLE
    if path.is_dir():
        raise SweettokError(f"{path} is a folder; move it, and run the command again.")
    while True:
        with claimed(path) as mine:
            if mine:
                with atomic_output(path, force=True) as part:
                    _write(manifest, parquet.ParquetWriter(part, schema, compression="zstd"), pyarrow, schema)
                return path
        time.sleep(_PATIENCE)


def _write(manifest: Manifest, writer: Any, pyarrow: ModuleType, schema: Any) -> None:
    group: list[dict[str, Any]] = []
    with writer:
        for row in manifest.rows():
            group.append({name: _text(value) for name, value in vars(row).items()})
            if len(group) == _GROUP:
                writer.write_table(pyarrow.Table.from_pylist(group, schema))
                group.clear()
        writer.write_table(pyarrow.Table.from_pylist(group, schema))


def _text(value: Any) -> Any:
    """Columns hold text, and names need not be any."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
