"""Token files and the models that can decode them: the description written, and held against a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from sweettok_cli.errors import SweettokError, option
from sweettok_cli.runtime import __version__
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.video import Fit, VideoInfo, variable_times
from sweettok_cli.video.selection import WHOLE, Selection
from sweettok_cli.video.writer import in_ticks

#: Ticks a second at most in which frame times are stored; containers count in 1/90000 or coarser.
_FINEST_CLOCK = 1_000_000_000


def describe_tokens(
    info: VideoInfo,
    spec: TokenizerSpec,
    fit: Fit,
    overlap: int,
    times: list[Fraction],
    rows: Mapping[str, tuple[int, ...]],
    budget: str = "",
    selection: Selection = WHOLE,
) -> TokenMeta:
    """What a token file says about itself.

    Args:
        info: of the source.
        spec: of the tokenizer.
        fit: how frames were padded.
        overlap: frames that each clip repeats of the one before.
        times: of every frame, in seconds.
        rows: of each ragged array, by level; empty where the arrays are dense, as those of a model with
            levels may be.
        budget: what was asked for, of a model with levels; nothing by default.
        selection: which frames of the source these are.

    Raises:
        TokenFault: something cannot be stored.
    """
    if not rows:
        spec = spec.fixed
    varying = None if info.is_image else variable_times(times, info.rate, info.time_base)
    base = ticks = None
    if varying is not None:
        base = Fraction(1, min(math.lcm(*(time.denominator for time in varying)), _FINEST_CLOCK))
        ticks = tuple(in_ticks(varying, base))
    clip_frames = spec.clip_frames
    if spec.stream_frames is not None and not info.is_image:
        clip_frames = spec.stream_length(len(times))
    return TokenMeta(
        family=spec.family,
        model=spec.name,
        weights_sha256=spec.weights_sha256,
        codebooks={name: tuple(sizes) for name, sizes in spec.codebooks.items()},
        shapes=spec.clip_shapes(fit.padded_height, fit.padded_width, info.is_image, clip_frames),
        source=info.path.name,
        image=info.is_image,
        width=fit.width,
        height=fit.height,
        padded_width=fit.padded_width,
        padded_height=fit.padded_height,
        frames=len(times),
        rate=info.rate,
        clip_frames=clip_frames,
        overlap=0 if info.is_image else overlap,
        time_base=base,
        times=ticks,
        writer=f"sweettok {__version__}",
        sample_aspect_ratio=info.sample_aspect_ratio,
        levels=dict(spec.levels),
        rows=rows,
        budget=budget if rows else "",
        selection=selection,
        begins=times[0].limit_denominator(_FINEST_CLOCK) if selection else Fraction(0),
    )


def check_match(meta: TokenMeta, spec: TokenizerSpec, name: str) -> None:
    """Raise :class:`SweettokError` unless the model ``spec`` can decode the tokens that ``meta`` describes.

    ``name`` is what to call the tokens in the message, usually their file.
    """
    if not meta.levels:
        spec = spec.fixed
    if meta.weights_sha256 != spec.weights_sha256:
        raise SweettokError(
            f"{name} was encoded by {meta.model} with weights {meta.weights_sha256[:12]}, "
            f"but {spec.name} has weights {spec.weights_sha256[:12]}; "
            "decode it with the model that encoded it, or encode the source again."
        )
    if spec.stream_frames is not None and meta.overlap:
        raise SweettokError(
            f"{name} says that its clips overlap by {meta.overlap} frames, but {spec.name} reads a video as "
            "one stream, in which none do; encode the source again."
        )
    clip_frames = spec.clip_frames
    if spec.stream_frames is not None and meta.clips == 1 and not meta.image:
        clip_frames = spec.stream_length(meta.frames)
    try:
        shapes = spec.clip_shapes(meta.padded_height, meta.padded_width, meta.image, clip_frames)
    except ValueError:
        shapes = {}
    codebooks = {name: tuple(sizes) for name, sizes in spec.codebooks.items()}
    found = (meta.family, dict(meta.codebooks), dict(meta.shapes), meta.clip_frames, dict(meta.levels))
    if found != (spec.family, codebooks, shapes, clip_frames, dict(spec.levels)):
        raise SweettokError(
            f"{name} is not laid out as {spec.name} lays out its tokens; encode the source again."
        )


def fit_source(info: VideoInfo, spec: TokenizerSpec, overlap: int) -> Fit:
    """How the frames of a source are padded for a tokenizer.

    Raises:
        SweettokError: the source or the overlap does not suit the tokenizer.
    """
    name = video_name(info)
    if info.is_image and not spec.images:
        raise SweettokError(f"{name} is an image, which {spec.name} cannot encode; choose another model.")
    if overlap and spec.stream_frames is not None:
        raise SweettokError(
            f"{spec.name} reads {name} as one stream, in which no clips overlap; leave the overlap out."
        )
    if overlap >= spec.clip_frames:
        raise SweettokError(
            f"{name} cannot be cut into clips of {spec.clip_frames} frames that overlap by {overlap}; "
            f"pass {option('overlap', spec.clip_frames - 1)} or less."
        )
    return Fit.to_multiple(info.width, info.height, spec.multiple)


def video_name(info: VideoInfo) -> str:
    """What to call a source in a message: its path, if it has one."""
    return str(info.path) if info.path.name else "The video"
