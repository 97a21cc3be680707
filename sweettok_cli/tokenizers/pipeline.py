"""Video files to tokens and back, streaming: reading, model and writing overlap, and memory stays flat."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from sweettok_cli import __version__
from sweettok_cli.errors import SweettokError
from sweettok_cli.tokenizers.base import Tokenizer, TokenizerSpec
from sweettok_cli.tokenizers.gathered import Gathered
from sweettok_cli.tokenizers.threads import read_ahead, write_behind
from sweettok_cli.tokens.schema import MAX_ARRAY_BYTES, TokenFault, TokenMeta, Tokens
from sweettok_cli.video import (
    Clip,
    Fit,
    VideoInfo,
    VideoReader,
    VideoWriter,
    count_clips,
    cut,
    join,
    soften_seams,
    variable_times,
    write_image,
)
from sweettok_cli.video.writer import DEFAULT_CRF

#: Called with frames done and, where it is known, frames in all.
OnProgress = Callable[[int, "int | None"], None]
#: Ticks a second at most in which frame times are stored; containers count in 1/90000 or coarser.
_FINEST_CLOCK = 1_000_000_000


@dataclass(frozen=True)
class Reconstruction:
    """One frame before and after: ``source`` and ``decoded`` uint8 RGB [h, w, 3], ``time`` in seconds."""

    source: np.ndarray
    decoded: np.ndarray
    time: Fraction


@dataclass(frozen=True)
class _Batch:
    """Clips on their way to the model, and ``padded`` uint8 [b, t, padded_h, padded_w, 3] for it."""

    clips: list[Clip]
    padded: np.ndarray


def encode_video(
    path: Path,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    on_progress: OnProgress | None = None,
) -> Tokens:
    """Encode a video or an image.

    Args:
        path: anything :class:`~sweettok_cli.video.VideoReader` reads.
        tokenizer: the model.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: frames that each clip repeats of the one before; decoding cross-fades them.
        on_progress: called after each batch.

    Raises:
        SweettokError: the file cannot be read, or does not suit the tokenizer.
    """
    spec = tokenizer.spec
    with VideoReader(path) as reader:
        info = reader.info
        fit = _fit(info, spec, overlap)
        times: list[Fraction] = []
        clips = None
        if info.frames is not None and not info.is_image:
            clips = count_clips(info.frames, spec.clip_frames, overlap)
        gathered = Gathered(1 if info.is_image else clips)
        done = 0
        with closing(read_ahead(_batches(reader, tokenizer, fit, overlap, batch_clips, times))) as batches:
            for batch in batches:
                gathered.add(tokenizer.encode(batch.padded))
                if gathered.nbytes > MAX_ARRAY_BYTES:
                    raise SweettokError(
                        f"{path} is too long for one token file; cut it into parts and encode each."
                    )
                done += sum(clip.valid for clip in batch.clips)
                if on_progress is not None:
                    on_progress(done, info.frames)
    if not times:
        raise SweettokError(f"{path} holds no frame that can be decoded; it is damaged, fetch it again.")
    try:
        meta = _describe(info, spec, fit, overlap, times)
    except TokenFault as fault:
        raise SweettokError(
            f"The tokens of {path} cannot be stored: it {fault.problem}; {fault.remedy}."
        ) from fault
    return Tokens(gathered.arrays(), meta)


def check_match(meta: TokenMeta, spec: TokenizerSpec, name: str) -> None:
    """Raise :class:`SweettokError` unless the model ``spec`` can decode the tokens that ``meta`` describes.

    Args:
        meta: description of the tokens.
        spec: of the tokenizer at hand.
        name: what to call the tokens in the message, usually their file.
    """
    if meta.weights_sha256 != spec.weights_sha256:
        raise SweettokError(
            f"{name} was encoded by {meta.model} with weights {meta.weights_sha256[:12]}, "
            f"but {spec.name} has weights {spec.weights_sha256[:12]}; "
            "pass the model that encoded it with --model, or encode the source again."
        )
    shapes = spec.clip_shapes(meta.padded_height, meta.padded_width, meta.image)
    codebooks = {name: tuple(sizes) for name, sizes in spec.codebooks.items()}
    found = (meta.family, dict(meta.codebooks), dict(meta.shapes), meta.clip_frames)
    if found != (spec.family, codebooks, shapes, spec.clip_frames):
        raise SweettokError(
            f"{name} is not laid out as {spec.name} lays out its tokens; encode the source again."
        )


def decode_video(
    tokens: Tokens,
    tokenizer: Tokenizer,
    out: Path,
    *,
    batch_clips: int | None = None,
    audio_from: Path | None = None,
    crf: float = DEFAULT_CRF,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> None:
    """Decode tokens into a video file, or an image file where they came from one.

    The result has the source's size, frame count and frame rate (or times). On an error nothing is left.

    Args:
        tokens: as :func:`~sweettok_cli.tokens.read_tokens` gives them.
        tokenizer: the model that encoded them.
        out: .mp4, .m4v or .mov for a video; .png, .jpg, .webp, ... for an image.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        audio_from: a file whose sound is copied.
        crf: H.264 quality, 0 (lossless) to 51.
        force: replace an existing file.
        on_progress: called after each frame is queued for writing.

    Raises:
        SweettokError: the tokens are another model's, or the file cannot be written.
    """
    meta = tokens.meta
    check_match(meta, tokenizer.spec, f"The token file of {meta.source or out.name}")
    if meta.image:
        write_image(out, next(decode_frames(tokens, tokenizer)), force=force)
        return
    video = VideoWriter(
        out,
        meta.width,
        meta.height,
        meta.rate,
        crf=crf,
        times=meta.frame_times(),
        audio_from=audio_from,
        force=force,
    )
    with video as writer, write_behind(writer.write, depth=meta.clip_frames) as write:
        for done, frame in enumerate(decode_frames(tokens, tokenizer, batch_clips=batch_clips), 1):
            write(np.ascontiguousarray(frame))
            if on_progress is not None:
                on_progress(done, meta.frames)


def decode_frames(
    tokens: Tokens, tokenizer: Tokenizer, *, batch_clips: int | None = None
) -> Iterator[np.ndarray]:
    """The frames that tokens stand for, uint8 RGB [h, w, 3] at the source's size, one after the other.

    Args:
        tokens: made by ``tokenizer``; see :func:`check_match` for those of which that is not known.
        tokenizer: the model.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
    """
    meta = tokens.meta
    size = batch_clips or tokenizer.batch_clips
    fit = Fit(meta.width, meta.height, meta.padded_width, meta.padded_height)

    def clips() -> Iterator[np.ndarray]:
        for start in range(0, meta.clips, size):
            arrays = {name: array[start : start + size] for name, array in tokens.arrays.items()}
            yield from fit.crop(tokenizer.decode(arrays, *_padded(fit)))

    return _joined(clips(), 0 if meta.image else meta.overlap, meta.frames)


def iterate_reconstruction(
    path: Path,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    on_arrays: Callable[[dict[str, np.ndarray]], None] | None = None,
) -> Iterator[Reconstruction]:
    """Each frame of a video beside what its tokens decode to, without a file in between.

    Args:
        path: a video or an image.
        tokenizer: the model.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: as for :func:`encode_video`.
        on_arrays: given the index arrays of each batch, e.g. to count which codes are used.

    Raises:
        SweettokError: the file cannot be read, or does not suit the tokenizer.
    """
    with VideoReader(path) as reader:
        fit = _fit(reader.info, tokenizer.spec, overlap)
        times: list[Fraction] = []
        waiting: deque[np.ndarray] = deque()

        def decoded() -> Generator[np.ndarray, None, None]:
            first = 0
            with closing(
                read_ahead(_batches(reader, tokenizer, fit, overlap, batch_clips, times))
            ) as batches:
                for batch in batches:
                    arrays = tokenizer.encode(batch.padded)
                    if on_arrays is not None:
                        on_arrays(arrays)
                    clips = fit.crop(tokenizer.decode(arrays, *_padded(fit)))
                    for clip, result in zip(batch.clips, clips, strict=True):
                        waiting.extend(clip.frames[first : first + clip.valid])
                        first = overlap
                        yield result

        with closing(decoded()) as results:
            shared = 0 if reader.info.is_image else overlap
            for index, frame in enumerate(_joined(results, shared)):
                # What follows the last real frame only fills up the last clip.
                if not waiting:
                    break
                yield Reconstruction(waiting.popleft(), frame, times[index])


def _joined(clips: Iterable[np.ndarray], overlap: int, total: int | None = None) -> Iterator[np.ndarray]:
    """The frames of decoded clips: cross-faded where clips overlap, with softened seams where they do not."""
    return join(clips if overlap else soften_seams(clips), overlap, total)


def _padded(fit: Fit) -> tuple[int, int]:
    return fit.padded_height, fit.padded_width


def _fit(info: VideoInfo, spec: TokenizerSpec, overlap: int) -> Fit:
    if info.is_image and not spec.images:
        raise SweettokError(
            f"{info.path} is an image, which {spec.name} cannot encode; choose another --model."
        )
    if overlap >= spec.clip_frames:
        raise SweettokError(
            f"{info.path} cannot be cut into clips of {spec.clip_frames} frames that overlap by {overlap}; "
            f"pass --overlap {spec.clip_frames - 1} or less."
        )
    return Fit.to_multiple(info.width, info.height, spec.multiple)


def _batches(
    reader: VideoReader,
    tokenizer: Tokenizer,
    fit: Fit,
    overlap: int,
    batch_clips: int | None,
    times: list[Fraction],
) -> Iterator[_Batch]:
    """Clips, cut, padded and stacked; the time of every frame is appended to ``times`` as it is read."""

    def frames() -> Iterator[np.ndarray]:
        for frame in reader:
            times.append(frame.time)
            yield frame.rgb

    image = reader.info.is_image
    clips = cut(frames(), 1 if image else tokenizer.spec.clip_frames, 0 if image else overlap)
    for group in _grouped(clips, batch_clips or tokenizer.batch_clips):
        yield _Batch(group, np.stack([fit.pad(clip.frames) for clip in group]))


def _grouped(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _describe(
    info: VideoInfo, spec: TokenizerSpec, fit: Fit, overlap: int, times: list[Fraction]
) -> TokenMeta:
    varying = None if info.is_image else variable_times(times, info.rate, info.time_base)
    base = ticks = None
    if varying is not None:
        base = Fraction(1, min(math.lcm(*(time.denominator for time in varying)), _FINEST_CLOCK))
        ticks = tuple(round(time / base) for time in varying)
    return TokenMeta(
        family=spec.family,
        model=spec.name,
        weights_sha256=spec.weights_sha256,
        codebooks={name: tuple(sizes) for name, sizes in spec.codebooks.items()},
        shapes=spec.clip_shapes(*_padded(fit), info.is_image),
        source=info.path.name,
        image=info.is_image,
        width=fit.width,
        height=fit.height,
        padded_width=fit.padded_width,
        padded_height=fit.padded_height,
        frames=len(times),
        rate=info.rate,
        clip_frames=spec.clip_frames,
        overlap=0 if info.is_image else overlap,
        time_base=base,
        times=ticks,
        writer=f"sweettok {__version__}",
    )
