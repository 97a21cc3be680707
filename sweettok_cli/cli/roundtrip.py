"""``sweettok roundtrip``: a video through the model and back, side by side with its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.columns import lined_up
from sweettok_cli.cli.output import Output, as_text, count, picked
from sweettok_cli.runtime import use_one_blas_thread, use_one_heap
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from sweettok_cli.inspect.round_trip import Roundtrip, RoundtripFiles


def roundtrip(
    file: Annotated[
        Path,
        Argument(help="A video, a picture or numbered pictures.", metavar="FILE", readable=False),
    ],
    out: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="Folder for the results, or name of the side-by-side video.",
            show_default="FILE.roundtrip beside FILE",
            metavar="PATH",
        ),
    ] = None,
    frames_of: options.FramesOption = False,
    fps: options.FpsOption = None,
    gain: Annotated[float, Option(min=0.1, help="How much larger the difference is shown.")] = 4.0,
    model: options.ModelOption = DEFAULT_MODEL,
    overlap: options.OverlapOption = 0,
    tokens: options.TokensOption = None,
    quality: options.QualityOption = None,
    fixed: options.FixedOption = False,
    sample: options.SampleOption = None,
    batch_clips: options.BatchClipsOption = None,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    force: options.ForceOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Encode a clip, decode it again, and show what became of it.

    Leaves the token file, the decoded video, a side-by-side video (source, reconstruction, amplified
    difference around grey), the PSNR and SSIM of every frame as CSV, and a plot of them. The scores are of
    the frames as the model gives them, before a video codec writes them.

    Examples:

        sweettok roundtrip clip.mp4

        sweettok roundtrip clip.mp4 -o results --gain 8

        sweettok roundtrip photo.jpg -o comparison.png --force
    """
    options.check_damage(keep_going, strict)
    budget = options.budget_of(tokens, quality, fixed)
    use_one_heap()
    use_one_blas_thread()
    from sweettok_cli.inspect.round_trip import RoundtripFiles, make_roundtrip
    from sweettok_cli.pipeline.missed import warnings_of
    from sweettok_cli.video.sequence import FrameSequence, is_pattern
    from sweettok_cli.zoo.load import load

    output = Output(json=as_json, quiet=quiet)
    rate = options.rate_of(fps, frames_of or is_pattern(file))
    source: Path | FrameSequence = file
    if frames_of or (is_pattern(file) and not file.exists()):
        source = FrameSequence.of(file, rate)
    files = RoundtripFiles.named(source, out)
    with files.prepared(force):
        tokenizer = load(
            model, device.value, dtype.value, sample=sample, on_progress=output.say if quiet else None
        )
        with output.progress("encode, decode", unit="frames of 2 passes") as on_progress:
            result = make_roundtrip(
                source,
                tokenizer,
                files,
                gain=gain,
                batch_clips=batch_clips,
                overlap=overlap,
                budget=budget,
                keep_going=keep_going,
                strict=strict,
                force=force,
                on_progress=on_progress,
            )
    warnings = warnings_of(str(file), result.tokens.meta, result.comparison.worst, budget)
    for said in warnings:
        output.warn(said)
    record = _record(file, files, result) | {"budget": str(budget) or None, "warnings": warnings}
    output.result(record, None if as_json else _text(record))


def _record(file: Path, files: RoundtripFiles, result: Roundtrip) -> dict[str, Any]:
    from sweettok_cli.tokens.layout import token_cost

    meta, comparison = result.tokens.meta, result.comparison
    return {
        "file": str(file),
        **picked(meta, "model", "width", "height", "frames", "clips"),
        "psnr": sum(comparison.psnr) / comparison.frames,
        "worst_psnr": comparison.worst,
        "ssim": sum(comparison.ssim) / comparison.frames,
        "seam_flicker": comparison.flicker.ratio,
        **picked(token_cost(meta), "tokens", "indices", "bits", "bits_per_pixel"),
        "seconds": {"encode": result.encode_seconds, "decode": result.decode_seconds},
        "files": {name: str(path) for name, path in files.paths().items()},
        "per_frame": [
            {"frame": frame, "psnr": psnr, "ssim": ssim}
            for frame, (psnr, ssim) in enumerate(zip(comparison.psnr, comparison.ssim, strict=True))
        ],
    }


def _text(record: dict[str, Any]) -> str:
    seams = record["seam_flicker"]
    lines = [
        f"{record['psnr']:.2f} dB PSNR, {record['ssim']:.4f} SSIM, mean of "
        f"{count(record['frames'], 'frame')}, {record['width']}x{record['height']}, "
        f"{count(record['clips'], 'clip')}",
        f"{record['tokens']:,} tokens, {record['indices']:,} indices, {record['bits'] / 1000:.2f} kbit, "
        f"{record['bits_per_pixel']:.4f} bits per pixel"
        + (f"; budget: {record['budget']}" if record["budget"] else ""),
    ]
    if seams is not None:
        lines.append(f"seams between clips {seams:.2f} (1: they do not show)")
    files = lined_up([name.replace("_", " "), path] for name, path in record["files"].items())
    return f"{as_text(*lines)}\n{files}"
