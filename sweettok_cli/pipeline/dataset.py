"""Data sets: folders, lists and tar files of videos to a folder of token files, with a manifest to go on by.

What was made before is known by what it depends on: the source's content, the model's weights, the options
that tokens depend on (:func:`~sweettok_cli.pipeline.row.key_of`). Jobs know nothing of each other: what makes
a token file of a source is an :class:`Engine`, given a job and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.files import check_name
from sweettok_cli.holding import claimed
from sweettok_cli.models.common.budget import USUAL
from sweettok_cli.packing.token_file import read_meta
from sweettok_cli.pipeline.batch import Result, prepare
from sweettok_cli.pipeline.folder import check_source, why_stale
from sweettok_cli.pipeline.manifest import Manifest
from sweettok_cli.pipeline.member import State, content_of
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.pipeline.row import Row, key_of, spelt_options
from sweettok_cli.tokens.layout import TokenizerSpec, token_cost
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.video.selection import WHOLE

#: Options that change how a source is read, and not the tokens of one that is whole.
_HOW = ("batch_clips", "keep_going", "strict")


class Engine(Protocol):
    """What makes token files of sources: here, in another process, on another machine."""

    def encode(self, job: Job) -> Result:
        """Encode one source into its token file, whose folder is there, and replace what is there.

        Whatever is wrong with the source is in the result.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """What is made of every source, and of what is there already.

    Attributes:
        spec: of the tokenizer.
        options: for :func:`~sweettok_cli.pipeline.folder.encode_job`.
        also: what else tokens depend on, by name, such as the number format.
        model: folder of the model, whose token prior packs.
        force: replace outputs that exist.
        skip_existing: pass over those of this model that no manifest lists; with ``force`` do again only
            what has changed.
        retry_failed: try again what could not be encoded before.
    """

    spec: TokenizerSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Any] = field(default_factory=dict)
    model: Path | None = None
    force: bool = False
    skip_existing: bool = False
    retry_failed: bool = False

    @property
    def spelt(self) -> str:
        """The options that tokens depend on."""
        return spelt_options(
            {**{name: value for name, value in self.options.items() if name not in _HOW}, **self.also}
        )


class DataSet:
    """A folder of token files with its manifest. Threads may share one."""

    def __init__(self, manifest: Manifest, settings: Settings) -> None:
        self._manifest, self._settings = manifest, settings
        self._weights, self._options = settings.spec.weights_sha256, settings.spelt
        self._again = settings.force and not settings.skip_existing

    def known(self, job: Job) -> Result | None:
        """What there is to say of a source without reading it; None where that is nothing.

        Raises:
            SweettokError: its tokens are there, of other weights or options, and may not be replaced.
        """
        row = self._row(job)
        if row is not None and row.status == "done" and not self._settings.force:
            self._check_alike(job, row)
        try:
            try:
                for part in Path(self._name(job)).parts:
                    check_name(part)
            except SweettokError as error:
                raise SweettokError(f"{job.source}: {error}") from error
            check_source(job.source)
            if row is None or State.of(job.source) != _state(row):
                return None
        except SweettokError as error:
            return self.refused(job, error)
        return self._settled(job, row, row.hash)

    def refused(self, job: Job, error: SweettokError) -> Result:
        """The result of a source that cannot be tried, which is noted."""
        self._note(job, error)
        return Result(job.source, job.output, "refused", error)

    def one(self, job: Job, engine: Engine) -> Result | None:
        """Encode a source, unless that turns out to be done; None where another program is at it."""
        try:
            prepare(job.output, force=True, make_folder=True)
        except SweettokError as error:
            return self.refused(job, error)
        with claimed(job.claim) as mine:
            self._manifest.refresh()
            try:
                self._check_others(job, mine)
            except SweettokError as error:  # which is no fault of the source, and not noted
                return Result(job.source, job.output, "refused", error)
            if not mine:
                return None
            try:
                return self._one(job, engine)
            except SweettokError as error:
                self._note(job, error)
                return Result(job.source, job.output, "failed", error)

    def _one(self, job: Job, engine: Engine) -> Result:
        state, row = State.of(job.source), self._row(job)
        same = row is not None and bool(row.hash) and _state(row) == state
        content = row.hash if row is not None and same else content_of(job.source)
        if row is not None and (settled := self._settled(job, row, content)) is not None:
            if not same:  # it was moved away and back, or only touched
                self._manifest.add(_with(replace(row, source=str(job.source)), state))
            return settled
        if os.path.lexists(job.output) and not _is_ours(row) and (taken := self._taken(job, content, state)):
            return taken
        key = key_of(content, self._weights, self._options)
        self._manifest.add(Row(str(job.source), self._name(job), "begun", content, key))
        result, lost = self._copied(job, key) or (engine.encode(job), None)
        if result.status == "done" and State.of(job.source) != state:
            error = SweettokError(f"{job.source} was changed while it was read; run the command again.")
            return Result(job.source, job.output, "failed", error)
        if result.status == "done":
            assert result.meta is not None
            lost = (result.loss.words if result.loss else "") if lost is None else lost
            made = self._made(job, result.meta, content, result.seconds, lost)
        elif row is not None and row.key == key and self._has_tokens(job, row):
            made = replace(row, source=str(job.source))  # they are what the row says, and stay
        else:
            assert result.error is not None
            made = replace(self._failed(job, result.error), hash=content, key=key)
        self._manifest.add(_with(made, state))
        return result

    def _settled(self, job: Job, row: Row, content: str) -> Result | None:
        """What its row says of a source that holds ``content``; None where it is to be encoded."""
        if self._again or row.key != key_of(content, self._weights, self._options):
            return None
        if self._has_tokens(job, row):
            if not self._misses(row):
                return Result(job.source, job.output, "skipped")
            error = SweettokError(
                f"{job.source} was not whole when it was encoded: {row.lost}; fetch it again, or leave out "
                f"{option('strict')} (its tokens stay)."
            )
            return Result(job.source, job.output, "refused", error)
        if row.status == "failed" and not self._settings.retry_failed:
            how = f"it was tried before; {option('retry_failed')} tries again"
            error = SweettokError(f"{row.error.rstrip('.')} ({how}).")
            return Result(job.source, job.output, "refused", error)
        return None

    def _taken(self, job: Job, content: str, state: State) -> Result | None:
        """What becomes of a file that is there and that no row tells of; None where it may be replaced."""
        settings = self._settings
        if self._again:
            return None
        if not settings.skip_existing:
            error = SweettokError(
                f"{job.output} exists, and {self._manifest.path.name} does not list it; pass "
                f"{option('skip_existing')} to take in what this model has made, or {option('force')} to "
                "encode again."
            )
            return Result(job.source, job.output, "refused", error)
        budget, overlap = settings.options.get("budget", USUAL), settings.options.get("overlap", 0)
        why = why_stale(job, settings.spec, budget, settings.options.get("selection", WHOLE))
        if why is None:
            meta = read_meta(job.output)
            if meta.image or meta.overlap == overlap:
                self._manifest.add(_with(self._made(job, meta, content, 0.0, ""), state))
                return Result(job.source, job.output, "skipped")
            why = f"{job.output} was encoded with an overlap of {meta.overlap} frames"
        if settings.force:
            return None
        error = SweettokError(f"{why}; pass {option('force')} too to encode it again, or write elsewhere.")
        return Result(job.source, job.output, "refused", error)

    def _copied(self, job: Job, key: str) -> tuple[Result, str] | None:
        """A token file of the same content, written under another name; None where there is none."""
        from sweettok_cli.zoo.token_files import read_tokens, write_tokens

        row = self._manifest.made(key)
        if self._again or row is None or self._misses(row):
            return None
        path = self._manifest.folder / row.output
        alike = Path(row.source).suffix.lower() == Path(job.source.name).suffix.lower()  # names tell kinds
        if row.output == self._name(job) or not alike or _size(path) != row.file_bytes:
            return None
        try:
            tokens = read_tokens(path, model=self._settings.model)
            tokens = replace(tokens, meta=replace(tokens.meta, source=job.source.name))
            write_tokens(job.output, tokens, force=True, model=self._settings.model)
        except SweettokError:  # it is encoded, then
            return None
        return Result(job.source, job.output, "done", None, tokens.meta), row.lost

    def _check_alike(self, job: Job, row: Row) -> None:
        if (row.weights, row.options) == (self._weights, self._options) or _size(job.output) is None:
            return
        had = f"with {row.options or 'the usual options'}"
        if row.weights != self._weights:
            had = f"by {row.model} with weights {row.weights[:12]}"
        raise SweettokError(
            f"{job.output} was encoded {had}; pass {option('force')} to encode what {self._manifest.folder} "
            "holds again, or write elsewhere."
        )

    def _check_others(self, job: Job, mine: bool) -> None:
        """Raise where another program has made, or is making, the token file with other weights or options.

        It may have been started after what was known was looked at.
        """
        row = self._row(job)
        if row is None:
            return
        if row.status == "done" and not self._settings.force:
            self._check_alike(job, row)
        if not mine and row.status == "begun" and row.key != key_of(row.hash, self._weights, self._options):
            raise SweettokError(
                f"{job.output} is being made by another program with other weights or options; let it end, "
                "or write elsewhere."
            )

    def _has_tokens(self, job: Job, row: Row) -> bool:
        """Whether the token file is there that a row tells of."""
        return row.status == "done" and _size(job.output) == row.file_bytes

    def _misses(self, row: Row) -> bool:
        return bool(row.lost) and bool(self._settings.options.get("strict"))

    def _name(self, job: Job) -> str:
        return job.output.relative_to(self._manifest.folder).as_posix()

    def _row(self, job: Job) -> Row | None:
        return self._manifest.row(self._name(job))

    def _note(self, job: Job, error: Exception) -> None:
        """Note why there are no tokens of a source, unless there are: of what it held when it was read."""
        row, failed = self._row(job), self._failed(job, error)
        if row is not None and self._has_tokens(job, row) and not _differs(job, row):
            return
        if row is None or (row.status, row.error) != ("failed", failed.error):
            self._manifest.add(failed)

    def _failed(self, job: Job, error: Exception) -> Row:
        text = " ".join(str(error).split()) or type(error).__name__
        # What is there is of the source as it was before.
        ours = _size(job.output) if _is_ours(self._row(job)) else None
        return self._about(job, "failed", error=text, file_bytes=ours or 0)

    def _made(self, job: Job, meta: TokenMeta, content: str, seconds: float, lost: str) -> Row:
        cost = token_cost(meta)
        return self._about(
            job,
            "done",
            hash=content,
            key=key_of(content, self._weights, self._options),
            frames=meta.frames,
            width=meta.width,
            height=meta.height,
            rate=float(meta.rate),
            clips=meta.clips,
            tokens=cost.tokens,
            bits=cost.bits,
            file_bytes=_size(job.output) or 0,
            lost=lost,
            seconds=round(seconds, 3),
        )

    def _about(self, job: Job, status: Literal["done", "failed"], **facts: Any) -> Row:
        facts |= {"model": self._settings.spec.name, "weights": self._weights, "options": self._options}
        return Row(str(job.source), self._name(job), status, **facts)


def _is_ours(row: Row | None) -> bool:
    """Whether a file that is there was made by a row's data set, if only half or of what was there before."""
    return row is not None and (row.status in ("done", "begun") or row.file_bytes > 0)


def _differs(job: Job, row: Row) -> bool:
    """Whether a source is seen to be another than that of its row; not so where it cannot be looked at."""
    try:
        return State.of(job.source) != _state(row)
    except SweettokError:
        return False


def _state(row: Row) -> State:
    return State(row.source_bytes, row.mtime_ns, row.inode)


def _with(row: Row, state: State) -> Row:
    return replace(row, source_bytes=state.size, mtime_ns=state.mtime_ns, inode=state.inode)


def _size(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None
