"""``sweettok decode``: a token file back to video."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.output import Output, count, picked
from sweettok_cli.runtime import use_one_heap


def decode(
    tokens_file: Annotated[Path, Argument(help="A token file.", metavar="TOKENS", readable=False)],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="Video (.mp4, .mov), for an image a picture (.png, .jpg), bare pixels (.npy), or a folder.",
            show_default="NAME.decoded.mp4",
        ),
    ] = None,
    force: options.ForceOption = False,
    audio_from: Annotated[
        Path | None,
        Option(help="Copy the sound of this file, usually the source.", metavar="FILE", readable=False),
    ] = None,
    crf: Annotated[
        float | None, Option(min=0, max=51, help="H.264 quality; 0 is lossless.", show_default="14")
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
    """Decode a token file into a video or an image.

    The result has the source's size, number of frames and frame rate. Its path is printed on stdout. A .npy
    file holds the pixels as the model gave them, uint8 [frames, height, width, 3], before any video codec.

    Examples:

        sweettok decode clip.npz

        sweettok decode clip.npz -o back.mp4 --audio-from clip.mp4

        sweettok decode photo.npz -o back.png --force

        sweettok decode clip.npz -o clip.npy
    """
    use_one_heap()
    from sweettok_cli.files import check_target
    from sweettok_cli.pipeline.folder import decoded_path
    from sweettok_cli.tokens import read_tokens

    out = Output(json=as_json, quiet=quiet)
    tokens = read_tokens(tokens_file)
    meta = tokens.meta
    target = decoded_path(tokens_file, output, meta.image)
    check_target(target, force)
    if audio_from is not None:
        _check_audio(audio_from, target, meta.image, out)
    from sweettok_cli.models.registry import family_of_tokens
    from sweettok_cli.pipeline.decode import decode_video
    from sweettok_cli.tokens.description import check_match
    from sweettok_cli.video.writer import DEFAULT_CRF
    from sweettok_cli.zoo.load import load_tokenizer, model_of_tokens

    family_of_tokens(meta, str(tokens_file))  # said before a model of that name is looked for
    tokenizer = load_tokenizer(
        model or model_of_tokens(meta, tokens_file),
        device.value,
        dtype.value,
        on_progress=out.say if quiet else None,
    )
    check_match(meta, tokenizer.spec, str(tokens_file))
    start = time.perf_counter()
    with out.progress(tokens_file.name) as update:
        decode_video(
            tokens,
            tokenizer,
            target,
            batch_clips=batch_clips,
            audio_from=audio_from,
            crf=DEFAULT_CRF if crf is None else crf,
            force=force,
            on_progress=update,
        )
    seconds = time.perf_counter() - start
    made = f"{count(meta.frames, 'frame')} of {meta.width}x{meta.height}"
    out.say(f"{tokens_file} -> {target}: {made}, {seconds:.1f} s")
    data = {"tokens": str(tokens_file), "output": str(target)}
    data |= picked(meta, "model", "width", "height", "frames")
    out.result({**data, "rate": str(meta.rate), "seconds": round(seconds, 3)}, str(target))


def _check_audio(audio_from: Path, target: Path, image: bool, out: Output) -> None:
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.video.source import open_container

    if image:
        raise SweettokError(f"An image has no sound to take from {audio_from}; leave out --audio-from.")
    if target.suffix.lower() == ".npy":
        raise SweettokError(f"{target} holds pixels and no sound; leave out --audio-from, or write an .mp4.")
    with open_container(audio_from) as container:
        if not container.streams.audio:
            out.warn(f"{audio_from} has no sound; the video is written without.")
