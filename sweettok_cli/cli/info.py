"""``sweettok info``: what is in a token file, a video or a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import Output


def info(
    file: Annotated[
        Path,
        typer.Argument(help="A token file, a video, an image or a model.", metavar="FILE", readable=False),
    ],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what a token file holds and costs, or what a video or a model is.

    A token names several words of the codebooks, each by an index. True bits are the sum of log2(codebook
    size) over all indices: what the tokens cost, however well the file packs them. Bits per pixel are of the
    source's pixels, all frames counted, padding not.

    Examples:

        sweettok info clip.npz

        sweettok info clip.npz --json

        sweettok info clip.mp4

        sweettok info runs/first/model
    """
    from sweettok_cli.tokens import looks_like_tokens
    from sweettok_cli.zoo.catalogue import named_model
    from sweettok_cli.zoo.local import find_local

    named = not file.exists() and named_model(str(file)) is not None
    if named or (not file.is_file() and find_local(str(file)) is not None):
        data = _model(str(file))
    else:
        data = _tokens(file) if looks_like_tokens(file) else _video(file)
    Output(json=as_json, quiet=quiet).result(data, _text(data))


def _model(name_or_path: str) -> dict[str, Any]:
    from sweettok_cli.models.registry import read_spec
    from sweettok_cli.storage.model_folder import ModelFolder
    from sweettok_cli.zoo.local import find_model

    folder = find_model(name_or_path)
    model = ModelFolder(folder)
    spec = read_spec(model)
    side = 256
    return {
        "file": str(folder),
        "kind": "model",
        "file_bytes": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        "model": spec.name,
        "family": spec.family,
        "weights_sha256": spec.weights_sha256,
        "source": model.header.source,
        "clip_frames": spec.clip_frames,
        "stream_frames": spec.stream_frames,
        "multiple": spec.multiple,
        "images": spec.images,
        "value_range": list(spec.value_range),
        "codebooks": {name: list(sizes) for name, sizes in spec.codebooks.items()},
        "clip_256": {
            "shapes": {name: list(shape) for name, shape in spec.clip_shapes(side, side).items()},
            "tokens": spec.tokens_per_clip(side, side),
            "indices": spec.indices_per_clip(side, side),
            "bits": spec.bits_per_clip(side, side),
        },
    }


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
    if data["kind"] == "model":
        return _model_text(data)
    size = f"{data['width']}x{data['height']}"
    frames = "unknown number of" if data["frames"] is None else data["frames"]
    moving = data["kind"] == "video" or (data["kind"] == "tokens" and not data["image"])
    if moving:
        rate = f"{_fraction(data['rate']):.5g} fps"
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
    if _in_words(data):
        shapes = " + ".join(f"{shape[0]} {name}" for name, shape in data["shapes"].items())
    else:
        shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in data["shapes"].items())
    rate = data["kbit_per_second"]
    length = f"{data['clip_frames']:,} frames" if moving else "1 frame"
    inside = f"{data['padded_width']}x{data['padded_height']}"
    padded = "" if inside == size else f", padded to {inside}"
    overlap = f", overlapping by {data['overlap']}" if data["overlap"] else ""
    return _rows(
        {
            "file": f"{data['file']} ({data['file_bytes']:,} bytes)",
            "model": f"{data['model']} (weights {data['weights_sha256'][:12]})",
            "source": f"{data['source']}: {picture}",
            "clips": f"{data['clips']} of {length}{overlap}{padded}",
            "tokens": f"{data['tokens']:,} ({shapes} a clip)",
            "indices": f"{data['indices']:,}",
            "true bits": f"{data['bits']:,.0f} ({data['bits_per_clip']:,.0f} a clip); "
            f"{8 * data['file_bytes']:,} in this file, compressed",
            "bits per pixel": f"{data['bits_per_pixel']:.4f}",
            **({} if rate is None else {"kbit per second": f"{rate:.1f}"}),
        }
    )


def _model_text(data: dict[str, Any]) -> str:
    clip, books = data["clip_256"], data["codebooks"]
    if _in_words(data):
        (adjectives, _, nouns), (adverbs, _, verbs) = books["spatial"], books["temporal"]
        codes = f"{adjectives} adjectives, {nouns} nouns; {adverbs} adverbs, {verbs} verbs"
    else:
        codes = f"{books['indices'][0]:,}" if books else "none: continuous latents"
    stream = "" if data["stream_frames"] is None else "; longer videos as one stream"
    images = "" if data["images"] else "; no images"
    origin = data["source"].get("repository") or data["source"].get("file")
    shapes = "".join(f" ({'x'.join(map(str, shape))})" for shape in clip["shapes"].values())
    if _in_words(data):
        shapes = ""
    return _rows(
        {
            "folder": f"{data['file']} ({data['file_bytes'] / 1e6:.1f} MB)",
            "model": f"{data['model']} (weights {data['weights_sha256'][:12]})",
            **({"made from": str(origin)} if origin else {}),
            "family": data["family"],
            "clips": f"{data['clip_frames']} frames, padded to multiples of {data['multiple']} pixels"
            f"{stream}{images}",
            "words" if _in_words(data) else "codes": codes,
            "at 256x256": f"{' + '.join(map(str, clip['tokens'].values()))} tokens{shapes}, "
            f"{clip['indices']} indices, {clip['bits']:,.0f} true bits a clip",
        }
    )


def _in_words(data: dict[str, Any]) -> bool:
    """Whether a token names several words: modifier, modifier, head."""
    return any(len(sizes) > 1 for sizes in data["codebooks"].values())


def _rows(rows: dict[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())


def _fraction(text: str) -> float:
    from fractions import Fraction

    return float(Fraction(text))
