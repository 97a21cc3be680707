"""The shards of a data set: inside its folder, and as new as its token files."""

from __future__ import annotations

import json
from pathlib import Path

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.packing.token_file import ENDINGS
from sweettok_cli.pipeline.export_folder import Exported, export_folder
from sweettok_cli.pipeline.plan import find_sources
from sweettok_cli.runtime import Watcher
from sweettok_cli.sequences.shards import RECORD, SHARD_BYTES, check_kind, is_shards
from sweettok_cli.tokens.layout import TokenizerSpec


def shards_in(folder: Path, kind: str) -> Path:
    """Where the shards of a data set lie."""
    return folder / f"shards-{kind}"


def check_exportable(spec: TokenizerSpec, kind: str) -> None:
    """Say before hours of encoding what cannot be exported after it.

    Raises:
        SweettokError: the model's tokens are no indices, or a package is missing.
    """
    if not spec.codebooks:
        raise SweettokError(
            f"{spec.name} gives continuous latents, which shards cannot hold; leave out "
            f"{option('format', kind)}, or encode with a model that has codebooks."
        )
    check_kind(kind)


def export_dataset(folder: Path, kind: str, watch: Watcher, model: Path | None) -> Exported | None:
    """Write all token files of a data set as shards, unless those that are there are as new.

    Args:
        folder: of the data set.
        kind: of the shards, a key of :data:`~sweettok_cli.sequences.shards.FORMATS`.
        watch: as for :func:`~sweettok_cli.pipeline.export_folder.export_folder`.
        model: folder of the model that encoded.

    Returns:
        What was written; None where there was nothing to write.

    Raises:
        SweettokError: as of :func:`~sweettok_cli.pipeline.export_folder.export_folder`.
    """
    out = shards_in(folder, kind)
    files = [each.source for each in find_sources([folder], frozenset(ENDINGS), lambda path, why: None)]
    paths = [path for path in files if isinstance(path, Path)]
    if not paths or (is_shards(out) and _are_as_new(out / RECORD, paths)):
        return None
    return export_folder(
        [folder], out, kind, watch, shard_bytes=SHARD_BYTES.get(kind), model=model, force=True
    )


def _are_as_new(record: Path, paths: list[Path]) -> bool:
    try:
        made = record.stat().st_mtime_ns
        count = json.loads(record.read_text(encoding="ascii"))["videos"]
        return bool(count == len(paths)) and all(path.stat().st_mtime_ns < made for path in paths)
    except (OSError, ValueError, LookupError, TypeError):
        return False
