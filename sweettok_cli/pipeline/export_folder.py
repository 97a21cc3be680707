"""Token files, and folders of them, to a folder of shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import check_folder_target, is_text
from sweettok_cli.models.registry import family_of_tokens, read_spec
from sweettok_cli.packing.token_file import ENDINGS, PACKED, read_meta
from sweettok_cli.pipeline.batch import forget_locals
from sweettok_cli.pipeline.plan import find_sources, token_name
from sweettok_cli.runtime import OnProgress, Watcher, ignore_progress
from sweettok_cli.sequences.shards import FOLDER, ShardPlan, check_kind, spelling_of, write_shards
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens.layout import TiledTokens
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.zoo.local import find_named
from sweettok_cli.zoo.token_files import read_tokens

_LONGEST_CLASS = 255  # characters


@dataclass(frozen=True)
class Exported:
    """What became of an export: what ``shards.json`` says, and what could not be read, with the reason."""

    record: dict[str, Any]
    failed: list[tuple[Path, Exception]]


@dataclass(frozen=True)
class TokenSource:
    """A token file, what it is called in the shards, and its class."""

    path: Path
    name: str
    label: str | None = None


@dataclass
class Reading:
    """Reads sources one after the other; what cannot be read costs no other."""

    model: Path | None
    failed: list[tuple[Path, Exception]] = field(default_factory=list)

    def refuse(self, path: Path, reason: str) -> None:
        """Note what cannot even be tried."""
        self.failed.append((path, SweettokError(reason)))

    def metas(self, sources: Sequence[TokenSource]) -> Iterator[tuple[TokenSource, TokenMeta]]:
        """Those that are whole, with what they say of themselves."""
        for source in sources:
            try:
                meta = read_meta(source.path)
                family_of_tokens(meta, str(source.path))
            # Whatever is wrong with one file of many must not cost the others.
            except Exception as error:
                self._note(source, error)
            else:
                yield source, meta

    def videos(
        self, sources: Sequence[TokenSource], watch: Watcher
    ) -> Iterator[tuple[str, str | None, Tokens]]:
        """Name, class and tokens of each."""
        for place, source in enumerate(sources):
            with watch(place, len(sources), source.path.name) as on_progress:
                try:
                    tokens = read_tokens(source.path, model=self.model)
                except Exception as error:
                    self._note(source, error)
                    continue
                yield source.name, source.label, tokens
                on_progress(tokens.meta.clips, tokens.meta.clips)

    def _note(self, source: TokenSource, error: Exception) -> None:
        forget_locals(error)
        self.failed.append((source.path, error))


def _unwatched(place: int, jobs: int, name: str) -> AbstractContextManager[OnProgress]:
    return nullcontext(ignore_progress)


def export_folder(
    inputs: Sequence[Path | str],
    out: Path | str,
    kind: str = "webdataset",
    watch: Watcher = _unwatched,
    *,
    classes: bool = False,
    shard_bytes: int | None = None,
    seed: int = 0,
    model: Path | None = None,
    force: bool = False,
) -> Exported:
    """Write token files, and all that folders hold, as shards.

    All are looked at before any is written; their order is one that the seed decides.

    Args:
        inputs: files and folders, at least one.
        out: folder of shards to write.
        kind: of the shards, a key of :data:`~sweettok_cli.sequences.shards.FORMATS`.
        watch: given each file's place, their number and its name; by default nobody is.
        classes: the name of the folder in which a file lies is its class.
        shard_bytes: of the symbols of a shard, about; None puts all into one.
        seed: of the order in which they are written.
        model: folder of the model that encoded, beside those that go by name.
        force: replace a folder of shards that is there.

    Raises:
        SweettokError: there is nothing that can be read, the files are not of one model, or the folder may
            not be replaced or cannot be written.
    """
    given, out = list(map(Path, inputs)), Path(out)
    check_folder_target(out.absolute(), FOLDER, force)
    check_kind(kind)
    reading = Reading(model)
    sources = _find(given, classes, reading)
    told = str(inputs[0]), sources, out, kind, watch, reading
    return export_sources(*told, shard_bytes=shard_bytes, seed=seed, force=force)


def export_sources(
    given: str,
    sources: Sequence[TokenSource],
    out: Path,
    kind: str,
    watch: Watcher,
    reading: Reading,
    *,
    shard_bytes: int | None,
    seed: int = 0,
    force: bool = False,
    made_of: str = "",
) -> Exported:
    """As :func:`export_folder`, of token files that are known by name; ``given`` is where they are from."""
    known: list[TokenSource] = []
    tile: int | None = None

    def looked_at() -> Iterator[tuple[str, str | None, TokenMeta]]:
        nonlocal tile
        for source, meta in reading.metas(sources):
            tile = tile if known else _tile(meta, reading.model)
            known.append(source)
            yield str(source.path), source.label, meta

    spelling = spelling_of(looked_at())
    if spelling is None and len(reading.failed) == 1:
        raise reading.failed[0][1]
    if spelling is None:
        what = f"{len(reading.failed)} token files" if reading.failed else "no token file"
        why = ", none of which can be read" if reading.failed else f" ({', '.join(ENDINGS)})"
        raise SweettokError(f"{given} holds {what}{why}; give what `sweettok encode` wrote.")
    plan = ShardPlan(kind, spelling, shard_bytes, tile, made_of)
    order = np.random.default_rng(seed).permutation(len(known))
    videos = reading.videos([known[place] for place in order], watch)
    return Exported(write_shards(out, plan, videos, force), reading.failed)


def _find(inputs: Sequence[Path], classes: bool, reading: Reading) -> list[TokenSource]:
    """All token files with their names and classes.

    Raises:
        SweettokError: two would have one name, or the name of a class is no text.
    """
    found: dict[str, TokenSource] = {}
    for each in find_sources(inputs, frozenset(ENDINGS), reading.refuse):
        assert isinstance(each.source, Path)
        name = (each.relative / token_name(each.source)).as_posix()
        if name in found:
            raise SweettokError(
                f"{each.source} would be {name} as {found[name].path} is; rename one of them."
            )
        label = each.source.absolute().parent.name if classes else None
        if label is not None and not is_text(label, _LONGEST_CLASS):
            raise SweettokError(
                f"{each.source} lies in no folder whose name can be that of a class; rename it."
            )
        found[name] = TokenSource(each.source, name, label)
        _check_packed(each.source)
    return list(found.values())


def _check_packed(path: Path) -> None:
    """Raise where a packed file lies beside a plain one, which stands for it, and holds other tokens."""
    packed = path.with_suffix(PACKED)
    if path.suffix == PACKED or not packed.is_file():
        return
    try:
        one, other = (replace(read_meta(each), source="", writer="") for each in (path, packed))
    except SweettokError:  # which is said when it is read
        return
    if one != other:
        raise SweettokError(
            f"{path} and {packed.name} hold other tokens than each other, of which one would be exported; "
            "move one of them away."
        )


def _tile(meta: TokenMeta, folder: Path | None) -> int | None:
    """Side in pixels of the tiles of the model that encoded, if it is at hand and has any."""
    folder = folder or find_named(meta.model)
    if folder is None:
        return None
    spec = read_spec(ModelFolder(folder))
    same = spec.weights_sha256 == meta.weights_sha256
    return spec.layout.tile if same and isinstance(spec.layout, TiledTokens) else None
