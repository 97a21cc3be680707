"""The shards of a data set: inside its folder, of what its manifest says is done."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.files import check_folder_target
from sweettok_cli.pipeline.dataset import Settings
from sweettok_cli.pipeline.export_folder import Exported, Reading, TokenSource, export_sources
from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.plan import token_name
from sweettok_cli.pipeline.row import Row
from sweettok_cli.runtime import Watcher
from sweettok_cli.sequences.shards import FOLDER, SHARD_BYTES, Shards, check_kind
from sweettok_cli.tokens.layout import TokenizerSpec


def shards_in(folder: Path, kind: str) -> Path:
    """Where the shards of a data set lie."""
    return folder / f"shards-{kind}"


def check_exportable(spec: TokenizerSpec, folder: Path, kind: str) -> None:
    """Say before hours of encoding what cannot be exported after it.

    Raises:
        SweettokError: the model's tokens are no indices, a package is missing, or something else lies where
            the shards go.
    """
    if not spec.codebooks:
        raise SweettokError(
            f"{spec.name} gives continuous latents, which shards cannot hold; leave out "
            f"{option('format', kind)}, or encode with a model that has codebooks."
        )
    check_kind(kind)
    target = shards_in(folder, kind)
    if not target.exists():
        return
    try:
        check_folder_target(target, FOLDER, force=True)
    except SweettokError as error:
        why = str(error).partition(";")[0]
        raise SweettokError(f"{why}; move it away, for the data set's shards go there.") from error


def export_dataset(
    folder: Path, kind: str, settings: Settings, ending: str, watch: Watcher
) -> Exported | None:
    """Write what a data set has encoded with these settings as shards, unless those are there and whole.

    Token files of other settings, and those that the manifest does not list as done, are in none.

    Args:
        folder: of the data set.
        kind: of the shards, a key of :data:`~sweettok_cli.sequences.shards.FORMATS`.
        settings: with which it was encoded.
        ending: of its token files.
        watch: as for :func:`~sweettok_cli.pipeline.export_folder.export_folder`.

    Returns:
        What was written; None where there was nothing to write.

    Raises:
        SweettokError: the tokens have no order, or the folder of shards cannot be written.
    """
    out, made = shards_in(folder, kind), (settings.spec.weights_sha256, settings.spelt)
    digest, sources = hashlib.sha256(), []
    with Manifest(folder) as manifest:
        for row in manifest.rows():
            path = folder / row.output
            if row.status == "done" and (row.weights, row.options) == made and path.suffix == ending:
                name = Path(row.output).with_name(token_name(path)).as_posix()
                sources.append(TokenSource(path, name))
                digest.update(_told(row))
    if not sources or _are_whole(out, digest.hexdigest()):
        return None
    reading = Reading(settings.model)
    return export_sources(
        str(folder),
        sources,
        out,
        kind,
        watch,
        reading,
        shard_bytes=SHARD_BYTES.get(kind),
        force=True,
        made_of=digest.hexdigest(),
    )


def _told(row: Row) -> bytes:
    """Of a token file, its name, what it was made of, and when."""
    return f"{row.output}\n{row.key}\n{row.file_bytes}\n{row.at!r}\n".encode("utf-8", "surrogateescape")


def _are_whole(out: Path, made_of: str) -> bool:
    """Whether shards are there, all of them, of just that."""
    try:
        shards = Shards(out)
        for shard in shards.shards:
            shards.check_sizes(shard)
    except (SweettokError, OSError):
        return False
    return shards.made_of == made_of
