"""Video files to tokens and back, streaming: reading, model and writing overlap, and memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.common.gathering import Gathered
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.threads import read_ahead, write_behind
from sweettok_cli.tokens.description import check_match, describe_tokens, is_stream
from sweettok_cli.tokens.layout import GridTokens, TokenizerSpec
from sweettok_cli.tokens.meta import MAX_ARRAY_BYTES, TokenFault, Tokens
from sweettok_cli.video import (
    Clip,
    Fit,
    VideoInfo,
    VideoReader,
    VideoWriter,
    count_clips,
    cut,
    cut_stream,
    join,
    soften_seams,
    write_image,
)
from sweettok_cli.video.writer import DEFAULT_CRF, array_writer


@dataclass(frozen=True)
class Batch:
    """Clips (or one piece of a stream), and ``padded`` uint8 [b, t, padded_h, padded_w, 3] for the model."""

    clips: list[Clip]
    padded: np.ndarray

    @property
    def valid(self) -> int:
        """Frames of the source that no batch before holds."""
        return sum(clip.valid for clip in self.clips)


def fit_source(info: VideoInfo, spec: TokenizerSpec, overlap: int) -> Fit:
    """How the frames of a source are padded for a tokenizer.

    Raises:
        SweettokError: the source or the overlap does not suit the tokenizer.
    """
    name = video_name(info)
    if info.is_image and not spec.images:
        raise SweettokError(f"{name} is an image, which {spec.name} cannot encode; choose another --model.")
    if overlap and spec.stream_frames is not None:
        raise SweettokError(
            f"{spec.name} reads {name} as one stream, in which no clips overlap; leave out --overlap."
        )
    if overlap >= spec.clip_frames:
        raise SweettokError(
            f"{name} cannot be cut into clips of {spec.clip_frames} frames that overlap by {overlap}; "
            f"pass --overlap {spec.clip_frames - 1} or less."
        )
    return Fit.to_multiple(info.width, info.height, spec.multiple)


def video_name(info: VideoInfo) -> str:
    """What to call a source in a message: its path, if it has one."""
    return str(info.path) if info.path.name else "The video"


def batches(
    frames: Iterable[np.ndarray], tokenizer: Tokenizer, fit: Fit, image: bool, overlap: int, size: int | None
) -> Generator[Batch, None, None]:
    """What the model is given, one after the other.

    Args:
        frames: uint8 RGB [h, w, 3] of the source.
        tokenizer: the model.
        fit: from :func:`fit_source`.
        image: the source is one picture.
        overlap: frames that each clip repeats of the one before.
        size: clips in a batch; the tokenizer's own choice by default.
    """
    spec = tokenizer.spec
    if spec.stream_frames is not None:
        assert isinstance(spec.layout, GridTokens)
        for piece in cut_stream(frames, spec.stream_frames, spec.layout.time):
            yield Batch([piece], fit.pad(piece.frames)[None])
        return
    clips = cut(frames, 1 if image else spec.clip_frames, 0 if image else overlap)
    for group in _grouped(clips, size or tokenizer.batch_clips):
        yield Batch(group, np.stack([fit.pad(clip.frames) for clip in group]))


def encoded(given: Iterable[Batch], tokenizer: Tokenizer) -> Generator[dict[str, np.ndarray], None, None]:
    """The arrays of each batch in turn."""
    if tokenizer.spec.stream_frames is not None:
        yield from tokenizer.encode_stream(batch.padded for batch in given)
        return
    for batch in given:
        yield tokenizer.encode_clips(batch.padded)


def _grouped(clips: Iterable[Clip], size: int) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


#: Called with frames done and, where it is known, frames in all.
OnProgress = Callable[[int, "int | None"], None]
#: Frames that wait for the video writer at most.
MAX_QUEUE = 32


@dataclass(frozen=True)
class Reconstruction:
    """One frame before and after: ``source`` and ``decoded`` uint8 RGB [h, w, 3], ``time`` in seconds."""

    source: np.ndarray
    decoded: np.ndarray
    time: Fraction


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
    with VideoReader(path) as reader:
        times: list[Fraction] = []
        return _encode(
            _frames(reader, times), times, reader.info, tokenizer, batch_clips, overlap, on_progress
        )


def encode_array(video: np.ndarray, tokenizer: Tokenizer, *, rate: Fraction, overlap: int = 0) -> Tokens:
    """Encode a video in memory, uint8 [t, h, w, 3], or an image [h, w, 3]; see :meth:`Tokenizer.encode`."""
    image = video.ndim == 3
    frames = video[None] if image else video
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(
            f"a video is uint8 [t, h, w, 3], an image uint8 [h, w, 3], not {video.dtype} {list(video.shape)}"
        )
    count, height, width = frames.shape[:3]
    info = VideoInfo(
        path=Path(),
        width=width,
        height=height,
        rate=Fraction(1) if image else rate,
        frames=count,
        time_base=1 / rate,
        variable_rate=False,
        has_audio=False,
        is_image=image,
    )
    times = [index / rate for index in range(count)]
    return _encode(iter(frames), times, info, tokenizer, None, overlap, None)


def _encode(
    frames: Iterator[np.ndarray],
    times: list[Fraction],
    info: VideoInfo,
    tokenizer: Tokenizer,
    batch_clips: int | None,
    overlap: int,
    on_progress: OnProgress | None,
) -> Tokens:
    """Tokens of ``frames``, by whose end ``times`` holds the time of each."""
    spec, name = tokenizer.spec, video_name(info)
    fit = fit_source(info, spec, overlap)
    stream = spec.stream_frames is not None
    clips = None
    if info.frames is not None and not info.is_image and not stream:
        clips = count_clips(info.frames, spec.clip_frames, overlap)
    gathered = Gathered(1 if info.is_image else clips)
    done = 0
    valid: deque[int] = deque()  # of the batches that are under way

    def noted(given: Iterable[Batch]) -> Iterator[Batch]:
        for batch in given:
            valid.append(batch.valid)
            yield batch

    feed = batches(frames, tokenizer, fit, info.is_image, overlap, batch_clips)
    with closing(read_ahead(feed)) as given, closing(encoded(noted(given), tokenizer)) as results:
        for arrays in results:
            gathered.add(_time_first(arrays, spec) if stream else arrays)
            if gathered.nbytes > MAX_ARRAY_BYTES:
                raise SweettokError(
                    f"{name} is too long for one token file; cut it into parts and encode each."
                )
            done += valid.popleft()
            if on_progress is not None:
                on_progress(done, info.frames)
    if not times:
        raise SweettokError(f"{name} holds no frame that can be decoded; it is damaged, fetch it again.")
    try:
        meta = describe_tokens(info, spec, fit, overlap, times)
    except TokenFault as fault:
        raise SweettokError(
            f"The tokens of {name} cannot be stored: it {fault.problem}; {fault.remedy}."
        ) from fault
    arrays = gathered.arrays()
    return Tokens(_time_back(arrays, spec) if stream else arrays, meta)


def _time_first(arrays: Mapping[str, np.ndarray], spec: TokenizerSpec) -> dict[str, np.ndarray]:
    """A piece of a stream, [1, ...], with its time axis in front, where pieces are joined."""
    return {name: np.moveaxis(array[0], spec.layout.time_axis(name), 0) for name, array in arrays.items()}


def _time_back(arrays: Mapping[str, np.ndarray], spec: TokenizerSpec) -> dict[str, np.ndarray]:
    """What :func:`_time_first` made of the pieces, joined, as the one clip they are."""
    return {
        name: np.ascontiguousarray(np.moveaxis(array, 0, spec.layout.time_axis(name))[None])
        for name, array in arrays.items()
    }


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
        out: .mp4, .m4v or .mov for a video; .png, .jpg, .webp, ... for an image; .npy for the bare pixels,
            uint8 [t, h, w, 3] or [h, w, 3].
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
    frames = decode_frames(tokens, tokenizer, batch_clips=batch_clips)
    with ExitStack() as stack:
        if out.suffix.lower() == ".npy":
            size = (meta.height, meta.width, 3)
            shape = size if meta.image else (meta.frames, *size)
            write = stack.enter_context(array_writer(out, shape, force))
        elif meta.image:
            write_image(out, next(frames), force=force)
            return
        else:
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
            write = stack.enter_context(
                write_behind(stack.enter_context(video).write, depth=min(meta.clip_frames, MAX_QUEUE))
            )
        for done, frame in enumerate(frames, 1):
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
    fit = Fit(meta.width, meta.height, meta.padded_width, meta.padded_height)
    clips = (fit.crop(clip) for clip in _decoded(tokens, tokenizer, fit, batch_clips))
    return _joined(clips, tokenizer.spec, 0 if meta.image else meta.overlap, meta.frames)


def _decoded(tokens: Tokens, tokenizer: Tokenizer, fit: Fit, batch_clips: int | None) -> Iterator[np.ndarray]:
    """Clips (or pieces of a stream) as the model gives them, uint8 [t, padded_h, padded_w, 3]."""
    meta, spec = tokens.meta, tokenizer.spec
    if is_stream(meta, spec):
        for piece in tokenizer.decode_stream(_pieces(tokens, spec), *_padded(fit)):
            yield piece[0]
        return
    size = batch_clips or tokenizer.batch_clips
    for start in range(0, meta.clips, size):
        arrays = {name: array[start : start + size] for name, array in tokens.arrays.items()}
        yield from tokenizer.decode_clips(arrays, *_padded(fit))


def _pieces(tokens: Tokens, spec: TokenizerSpec) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of one stream, cut along time as they were when it was encoded."""
    assert isinstance(spec.layout, GridTokens) and spec.stream_frames is not None
    total = spec.layout.latent_frames(tokens.meta.clip_frames if not tokens.meta.image else 1)
    step = spec.stream_frames // spec.layout.time
    for start, end in zip([0, *range(1, total, step)], [*range(1, total, step), total], strict=True):
        yield {
            name: array.take(range(start, end), axis=1 + spec.layout.time_axis(name))
            for name, array in tokens.arrays.items()
        }


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
        times: list[Fraction] = []
        pairs = reconstruct_frames(
            _frames(reader, times),
            reader.info,
            tokenizer,
            batch_clips=batch_clips,
            overlap=overlap,
            on_arrays=on_arrays,
        )
        with closing(pairs):
            for index, (source, decoded) in enumerate(pairs):
                yield Reconstruction(source, decoded, times[index])


def reconstruct_frames(
    frames: Iterator[np.ndarray],
    info: VideoInfo,
    tokenizer: Tokenizer,
    *,
    batch_clips: int | None = None,
    overlap: int = 0,
    on_arrays: Callable[[dict[str, np.ndarray]], None] | None = None,
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Each of some frames beside what its tokens decode to; one batch of clips is held at a time.

    Args:
        frames: uint8 RGB [h, w, 3], gone through in a thread of their own.
        info: says their size, and whether they are one image.
        tokenizer: the model.
        batch_clips: clips that go through the model at once; the tokenizer's own choice by default.
        overlap: as for :func:`encode_video`.
        on_arrays: given the index arrays of each batch.

    Raises:
        SweettokError: the frames do not suit the tokenizer.
    """
    spec = tokenizer.spec
    fit = fit_source(info, spec, overlap)
    waiting: deque[np.ndarray] = deque()
    shared = 0 if info.is_image else overlap

    def taken(given: Iterable[Batch]) -> Iterator[Batch]:
        first = 0
        for batch in given:
            for clip in batch.clips:
                waiting.extend(clip.frames[first : first + clip.valid])
                first = shared
            yield batch

    def arrays(given: Iterable[Batch]) -> Iterator[dict[str, np.ndarray]]:
        for found in encoded(taken(given), tokenizer):
            if on_arrays is not None:
                on_arrays(found)
            yield found

    def clips() -> Generator[np.ndarray, None, None]:
        feed = batches(frames, tokenizer, fit, info.is_image, overlap, batch_clips)
        with closing(read_ahead(feed)) as given:
            if spec.stream_frames is not None:
                for piece in tokenizer.decode_stream(arrays(given), *_padded(fit)):
                    yield fit.crop(piece)[0]
                return
            for found in arrays(given):
                yield from fit.crop(tokenizer.decode_clips(found, *_padded(fit)))

    with closing(clips()) as results:
        for frame in _joined(results, spec, shared):
            # What follows the last real frame only fills up the last clip.
            if not waiting:
                break
            yield waiting.popleft(), frame


def _joined(
    clips: Iterable[np.ndarray], spec: TokenizerSpec, overlap: int, total: int | None = None
) -> Iterator[np.ndarray]:
    """The frames of decoded clips: cross-faded where they overlap, else with soft seams if the model asks."""
    return join(soften_seams(clips) if spec.soft_seams and not overlap else clips, overlap, total)


def _padded(fit: Fit) -> tuple[int, int]:
    return fit.padded_height, fit.padded_width


def _frames(reader: VideoReader, times: list[Fraction]) -> Iterator[np.ndarray]:
    """The reader's frames; the time of each is appended to ``times`` as it is read."""
    for frame in reader:
        times.append(frame.time)
        yield frame.rgb
