"""``sweettok info``: what is in a token file, or in a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import Output


def info(
    file: Annotated[Path, typer.Argument(help="A token file, a video or an image.", metavar="FILE")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what a token file holds and costs, or what a video is.

    True bits are the sum of log2(codebook size) over all indices: what the tokens say, whatever the file
    packs them into.

    Examples:

        sweettok info clip.npz

        sweettok info clip.npz --json

        sweettok info clip.mp4
    """
    from sweettok_cli.tokens import looks_like_tokens

    data = _tokens(file) if looks_like_tokens(file) else _video(file)
    Output(json=as_json, quiet=quiet).result(data, _text(data))


def _tokens(file: Path) -> dict[str, Any]:
    from sweettok_cli.tokens import read_tokens, token_cost

    meta = read_tokens(file).meta
    cost = token_cost(meta)
    return {
        "file": str(file),
        "kind": "tokens",
        "file_bytes": file.stat().st_size,
        "model": meta.model,
        "family": meta.family,
        "weights_sha256": meta.weights_sha256,
        "source": meta.source,
        "image": meta.image,
        "width": meta.width,
        "height": meta.height,
        "padded_width": meta.padded_width,
        "padded_height": meta.padded_height,
        "frames": meta.frames,
        "rate": str(meta.rate),
        "variable_rate": meta.times is not None,
        "seconds": None if meta.duration is None else float(meta.duration),
        "clips": meta.clips,
        "clip_frames": meta.clip_frames,
        "overlap": meta.overlap,
        "shapes": {name: list(shape) for name, shape in meta.shapes.items()},
        "codebooks": {name: list(sizes) for name, sizes in meta.codebooks.items()},
        "tokens": cost.tokens,
        "indices": cost.indices,
        "bits": cost.bits,
        "bits_per_clip": cost.bits_per_clip,
        "bits_per_pixel": cost.bits_per_pixel,
        "kbit_per_second": cost.kbit_per_second,
        "writer": meta.writer,
    }


def _video(file: Path) -> dict[str, Any]:
    from sweettok_cli.video import probe

    found = probe(file)
    seconds = found.duration
    if seconds is None and found.frames and not found.is_image:
        seconds = found.frames / found.rate
    return {
        "file": str(file),
        "kind": "image" if found.is_image else "video",
        "file_bytes": file.stat().st_size,
        "width": found.width,
        "height": found.height,
        "frames": found.frames,
        "rate": str(found.rate),
        "variable_rate": found.variable_rate,
        "seconds": None if seconds is None else float(seconds),
        "sound": found.has_audio,
    }


def _text(data: dict[str, Any]) -> str:
    size = f"{data['width']}x{data['height']}"
    frames = "unknown number of" if data["frames"] is None else data["frames"]
    moving = data["kind"] == "video" or (data["kind"] == "tokens" and not data["image"])
    if moving:
        rate = f"{float(_fraction(data['rate'])):.5g} a second"
        varies = ", varying" if data["variable_rate"] else ""
        lasts = "" if data["seconds"] is None else f", {data['seconds']:.2f} s"
        picture = f"{size}, {frames} frames, {rate}{varies}{lasts}"
    else:
        picture = f"{size}, one image"
    if data["kind"] != "tokens":
        rows = {"file": f"{data['file']} ({data['file_bytes']:,} bytes)", "picture": picture}
        if moving:
            rows["sound"] = "yes" if data["sound"] else "no"
        return _rows(rows)
    shapes = " + ".join(f"{shape[0]} {name}" for name, shape in data["shapes"].items())
    if data["family"] != "sweettok":
        shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in data["shapes"].items())
    rate = data["kbit_per_second"]
    overlap = f", overlapping by {data['overlap']}" if data["overlap"] else ""
    return _rows(
        {
            "file": f"{data['file']} ({data['file_bytes']:,} bytes)",
            "model": f"{data['model']} (weights {data['weights_sha256'][:12]})",
            "source": f"{data['source']}: {picture}",
            "clips": f"{data['clips']} of {data['clip_frames']} frames{overlap}",
            "tokens": f"{data['tokens']:,} ({shapes} a clip)",
            "indices": f"{data['indices']:,}",
            "true bits": f"{data['bits']:,.0f} ({data['bits_per_clip']:,.0f} a clip; "
            f"the file takes {8 * data['file_bytes']:,})",
            "bits per pixel": f"{data['bits_per_pixel']:.4f}",
            **({} if rate is None else {"kbit per second": f"{rate:.1f}"}),
        }
    )


def _rows(rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())


def _fraction(text: str) -> float:
    from fractions import Fraction

    return float(Fraction(text))
