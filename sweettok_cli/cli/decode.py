"""``sweettok decode``: token files back to video."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.batch import show_results
from sweettok_cli.cli.output import Output, count, picked
from sweettok_cli.runtime import use_one_heap

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.batch import Result
    from sweettok_cli.tokens import TokenMeta


def decode(
    inputs: Annotated[
        list[Path], Argument(help="Token files, or folders of them.", metavar="TOKENS|DIR", readable=False)
    ],
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            help="For one token file a video (.mp4, .mov, .mkv, .webm, .gif), a picture (.png, .jpg, .webp, "
            ".avif), the frames of a video (frames_%04d.png) or bare pixels (.npy); else a folder.",
            show_default="NAME.decoded.mp4",
            metavar="PATH",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        Option(
            "--as",
            metavar="ENDING",
            help="What to write into folders: mp4, webm, gif, npy, ...; png for a folder of frames.",
            show_default="mp4, png for images",
        ),
    ] = None,
    force: options.ForceOption = False,
    skip_existing: Annotated[
        bool,
        Option(
            "--skip-existing",
            help="Leave out what has been decoded before: resume a long job. With --force, do again what "
            "has changed since.",
        ),
    ] = False,
    audio_from: Annotated[
        Path | None,
        Option(help="Copy the sound of this file, usually the source.", metavar="FILE", readable=False),
    ] = None,
    crf: Annotated[
        float | None,
        Option(min=0, max=51, help="Quality of H.264 and VP9; 0 is lossless.", show_default="14"),
    ] = None,
    model: Annotated[
        str | None,
        Option("--model", "-m", help="Name or folder of the model.", show_default="the one that encoded"),
    ] = None,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    batch_clips: options.BatchClipsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Decode token files into videos and images.

    The result has the source's size, number of frames and frame rate. Folders are searched for token files,
    and their structure is kept; a file that fails is listed, the others are still decoded, and the exit code
    is 1. The paths written are printed on stdout. A .npy file holds the pixels as the model gave them, uint8
    [frames, height, width, 3], before any video codec.

    Examples:

        sweettok decode clip.npz

        sweettok decode clip.npz -o back.webm --audio-from clip.mp4

        sweettok decode tokens -o videos --skip-existing

        sweettok decode clip.npz -o frames_%04d.png

        sweettok decode clip.npz -o clip.npy
    """
    use_one_heap()
    from sweettok_cli.pipeline.decode_folder import decode_folder
    from sweettok_cli.pipeline.plan import is_batch

    out = Output(json=as_json, quiet=quiet)

    @lru_cache(1)
    def tokenizer(name: str) -> Tokenizer:
        from sweettok_cli.zoo.load import load

        return load(name, device.value, dtype.value, on_progress=out.say if quiet else None)

    def load_for(meta: TokenMeta, tokens_file: str) -> Tokenizer:
        from sweettok_cli.models.registry import family_of_tokens
        from sweettok_cli.zoo.load import model_of_tokens

        if model is None:
            return tokenizer(model_of_tokens(meta, Path(tokens_file)))
        family_of_tokens(meta, tokens_file)  # said before the model is loaded
        return tokenizer(model)

    progress = out.overall()
    results = decode_folder(
        inputs,
        Path(output) if output is not None else None,
        load_for,
        to_folder=options.names_folder(output),
        kind=None if kind is None else f".{kind.lower().removeprefix('.')}",
        force=force,
        skip_existing=skip_existing,
        batch_clips=batch_clips,
        audio_from=audio_from,
        crf=crf,
        warn=out.warn,
        watch=progress.watch,
    )
    show_results(results, out, progress, "decoded", batch=is_batch(inputs, "decode"), describe=_describe)


def _describe(result: Result) -> tuple[dict[str, Any], str]:
    meta = result.meta
    assert meta is not None
    record = {**picked(meta, "model", "width", "height", "frames"), "rate": str(meta.rate)}
    return record, f"{count(meta.frames, 'frame')} of {meta.width}x{meta.height}"
