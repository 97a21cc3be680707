"""Token files, and folders of them, to videos and pictures, one job after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError, WrongUsage
from sweettok_cli.packing.token_file import ENDINGS
from sweettok_cli.pipeline.batch import Result, do_jobs, forget_locals, prepare, settle, why_older
from sweettok_cli.pipeline.plan import (
    PICTURE_KINDS,
    VIDEO_KINDS,
    Job,
    Outputs,
    find_sources,
    is_batch,
    token_name,
)
from sweettok_cli.runtime import OnProgress, Watcher
from sweettok_cli.video.images import WRITTEN
from sweettok_cli.video.sequence import check_sequence, is_pattern, numbered

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.tokens import TokenMeta

#: Pictures that are the frames of one video lie in a folder of their own.
FRAMES = "%06d"
#: Files of these kinds say how wide their pixels are; those and WebM may have sound.
_STRETCHED = (".mp4", ".m4v", ".mov", ".mkv")
_SOUNDING = (*_STRETCHED, ".webm")


@dataclass(frozen=True)
class DecodeJob(Job):
    """A token file and what to make of it."""

    meta: TokenMeta


def decoded_name(tokens_file: Path, image: bool, kind: str | None = None) -> str:
    """What a token file is decoded to: ``NAME.decoded.mp4`` or ``.png``, or of the ``kind`` asked for.

    A video is written as a folder of numbered pictures where that is the kind of a picture.
    """
    stem = f"{token_name(tokens_file)}.decoded"
    if image:
        return stem + (kind if kind in PICTURE_KINDS else ".png")
    return f"{stem}/{FRAMES}{kind}" if kind in WRITTEN else stem + (kind or ".mp4")


def decode_folder(
    inputs: Sequence[Path],
    output: Path | None,
    load: Callable[[TokenMeta, str], Tokenizer],
    *,
    to_folder: bool = False,
    kind: str | None = None,
    force: bool = False,
    skip_existing: bool = False,
    batch_clips: int | None = None,
    audio_from: Path | None = None,
    crf: float | None = None,
    warn: Callable[[str], None] = lambda text: None,
    watch: Watcher | None = None,
) -> Iterator[Result]:
    """Decode token files and all that folders hold, one after the other; what fails costs no other.

    What is skipped or refused comes first, before a model is loaded. Others may decode the same folder at the
    same time, see :func:`~sweettok_cli.pipeline.batch.do_jobs`.

    Args:
        inputs: token files and folders, at least one.
        output: see :meth:`~sweettok_cli.pipeline.plan.Outputs.named`, like ``to_folder``.
        load: gives the model of a token file, of that name; token files of one model come one after another.
        kind: ending to write where ``output`` is none, as in :func:`decoded_name`.
        force: replace outputs that exist; else their token files are refused.
        skip_existing: pass over token files whose output is there and not older. With ``force`` only what is
            older is replaced.
        batch_clips: as for :func:`~sweettok_cli.pipeline.decode.decode_video`, like ``audio_from``, which
            belongs to one token file, and ``crf``.
        warn: told what the output cannot hold.
        watch: given each job's place, their number and the token file's name.

    Raises:
        SweettokError: ``output`` has the wrong kind, or there is nothing to decode.
    """
    batch = is_batch(inputs, "decode")
    if batch and audio_from is not None:
        raise SweettokError(
            f"The sound of {audio_from} belongs to one video; decode that alone, or leave out --audio-from."
        )
    kinds = tuple(dict.fromkeys((*VIDEO_KINDS, *PICTURE_KINDS)))
    if kind is not None and kind not in kinds:
        raise WrongUsage(f"--as {kind} is of a kind that is not written; choose from {', '.join(kinds)}.")
    outputs = Outputs.named(output, kinds, to_folder, not batch)
    missing: list[Result] = []

    def refuse(source: Path, reason: str) -> None:
        missing.append(Result(source, None, "refused", SweettokError(reason)))

    def settled(job: Job, begun: bool = True) -> Result | None:
        assert isinstance(job, DecodeJob)
        return settle(
            job,
            first_file(job),
            lambda: why_older(job.source, last_file(job), "decoded"),
            "decode",
            begun=begun,
            force=force,
            skip_existing=skip_existing,
        )

    jobs: list[DecodeJob] = []
    taken: dict[Path, Path] = {}
    for found in find_sources(inputs, frozenset(ENDINGS), refuse):
        yield from missing
        missing.clear()
        source = found.source
        assert isinstance(source, Path)
        target = None
        try:
            meta = _read_meta(source)
            target = outputs.place(source, found.relative, decoded_name(source, meta.image, kind))
            if (other := taken.setdefault(target, source)) != source:
                raise SweettokError(f"{source} would become {target} as {other} does; name it with -o.")
            job = DecodeJob(source, target, meta)
            result = settled(job, begun=False)
            if result is None:
                _check(job, force, outputs.file is None, audio_from, warn)
        except SweettokError as error:
            result = Result(source, target, "refused", error)
        if result is None:
            jobs.append(job)
        else:
            yield result
    yield from missing
    if not taken and not missing:
        raise SweettokError(
            f"{inputs[0]} holds no token file ({', '.join(ENDINGS)}); give what `sweettok encode` wrote."
        )

    def work(job: Job, on_progress: OnProgress | None) -> Result:
        assert isinstance(job, DecodeJob)
        return decode_job(
            job,
            load,
            force=force,
            batch_clips=batch_clips,
            audio_from=audio_from,
            crf=crf,
            on_progress=on_progress,
        )

    # Each model is loaded once, and one at a time.
    order = list(dict.fromkeys(job.meta.weights_sha256 for job in jobs))
    jobs.sort(key=lambda job: order.index(job.meta.weights_sha256))
    yield from do_jobs(jobs, work, settled, watch)


def decode_job(
    job: DecodeJob,
    load: Callable[[TokenMeta, str], Tokenizer],
    *,
    force: bool = False,
    batch_clips: int | None = None,
    audio_from: Path | None = None,
    crf: float | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """Decode one token file by the model that ``load`` gives; whatever goes wrong is in the result.

    The options are those of :func:`~sweettok_cli.pipeline.decode.decode_video`.
    """
    from sweettok_cli.pipeline.decode import decode_video
    from sweettok_cli.tokens.description import check_match
    from sweettok_cli.video.writer import DEFAULT_CRF
    from sweettok_cli.zoo.token_files import read_tokens

    assert isinstance(job.source, Path)
    start = time.perf_counter()
    try:
        tokenizer = load(job.meta, str(job.source))
        tokens = read_tokens(job.source, model=tokenizer.folder)
        check_match(tokens.meta, tokenizer.spec, str(job.source))
        decode_video(
            tokens,
            tokenizer,
            job.output,
            batch_clips=batch_clips,
            audio_from=audio_from,
            crf=DEFAULT_CRF if crf is None else crf,
            force=force,
            on_progress=on_progress,
        )
    # Whatever is wrong with one file of many must not cost the others.
    except Exception as error:
        forget_locals(error)
        return Result(job.source, job.output, "failed", error)
    return Result(job.source, job.output, "done", meta=job.meta, seconds=time.perf_counter() - start)


def is_sequence(job: DecodeJob) -> bool:
    """Whether the output is numbered pictures."""
    return not job.meta.image and is_pattern(job.output)


def first_file(job: DecodeJob) -> Path:
    """The output, or the first of its pictures."""
    return numbered(job.output, 1) if is_sequence(job) else job.output


def last_file(job: DecodeJob) -> Path:
    """The output, or the last of its pictures."""
    return numbered(job.output, job.meta.frames) if is_sequence(job) else job.output


def _read_meta(path: Path) -> TokenMeta:
    from sweettok_cli.packing.token_file import read_meta

    return read_meta(path)


def _check(
    job: DecodeJob, force: bool, make_folder: bool, audio_from: Path | None, warn: Callable[[str], None]
) -> None:
    """Find what would go wrong on writing before the model has run for hours, and say what will be lost."""
    from sweettok_cli.pipeline.decode import check_times

    meta, target, ending = job.meta, job.output, job.output.suffix.lower()
    kinds = PICTURE_KINDS if meta.image else VIDEO_KINDS
    if ending not in kinds and not is_sequence(job):
        what, instead = ("an image", ".png") if meta.image else ("a video", ".mp4")
        raise WrongUsage(
            f"{job.source} holds {what}, which is not written as {target.name}; name it {instead}"
            f"{'' if meta.image or ending not in WRITTEN else ', or frames_%04d.png for its frames'}."
        )
    if is_sequence(job):
        check_sequence(target, meta.frames, force)
        prepare(target.parent if not target.parent.exists() else numbered(target, 1), force, make_folder)
    else:
        prepare(target, force, make_folder)
    check_times(target, meta)
    if meta.sample_aspect_ratio != 1 and not meta.image and ending not in _STRETCHED:
        warn(
            f"{target} holds square pixels; those of {meta.source} are "
            f"{meta.sample_aspect_ratio.numerator}:{meta.sample_aspect_ratio.denominator}."
        )
    if audio_from is not None:
        _check_audio(audio_from, target, meta.image, warn)


def _check_audio(audio_from: Path, target: Path, image: bool, warn: Callable[[str], None]) -> None:
    from sweettok_cli.video.source import open_container

    if image:
        raise SweettokError(f"An image has no sound to take from {audio_from}; leave out --audio-from.")
    if target.suffix.lower() not in _SOUNDING:
        raise SweettokError(f"{target} holds pixels and no sound; leave out --audio-from, or write an .mp4.")
    with open_container(audio_from) as container:
        if not container.streams.audio:
            warn(f"{audio_from} has no sound; the video is written without.")
