"""``sweettok info``: what is in a token file, a video or a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from sweettok_cli.cli.columns import lined_up
from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import Output, count, picked
from sweettok_cli.cli.pack import times_smaller

if TYPE_CHECKING:
    from sweettok_cli.tokens.layout import TokenizerSpec
    from sweettok_cli.tokens.meta import TokenMeta
    from sweettok_cli.tokens.ragged import Spread


def info(
    file: Annotated[
        Path, Argument(help="A token file, a video, an image or a model.", metavar="FILE", readable=False)
    ],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what a token file holds and costs, or what a video or a model is.

    A token names several words of the codebooks, each by an index. True bits are the sum of log2(codebook
    size) over all indices: what the tokens cost, however well the file packs them. Where a position may have
    several tokens or none, so does how many it has. Bits per pixel are of the source's pixels, all frames
    counted, padding not. A packed file (.swt) also states what its tokens were coded in.

    Examples:

        sweettok info clip.npz

        sweettok info clip.npz --json

        sweettok info clip.mp4

        sweettok info runs/first/model
    """
    from sweettok_cli.packing.token_file import looks_like_tokens
    from sweettok_cli.zoo.catalogue import named_model
    from sweettok_cli.zoo.local import find_local

    named = not file.exists() and named_model(str(file)) is not None
    if named or (not file.is_file() and find_local(str(file)) is not None):
        data = _model(str(file))
    else:
        data = _tokens(file) if looks_like_tokens(file) else _video(file)
    Output(json=as_json, quiet=quiet).result(data, _text(data))


def _model(name_or_path: str) -> dict[str, Any]:
    from sweettok_cli.files import folder_bytes
    from sweettok_cli.models.registry import read_spec
    from sweettok_cli.packing.prior import prior_in
    from sweettok_cli.storage.model_folder import ModelFolder
    from sweettok_cli.zoo.local import find_model

    folder = find_model(name_or_path)
    model = ModelFolder(folder)
    spec = read_spec(model)
    prior = prior_in(folder)
    size = (-(-256 // spec.multiple) * spec.multiple,) * 2  # padded, as a frame of 256x256 is
    return {
        "file": str(folder),
        "kind": "model",
        "file_bytes": folder_bytes(folder),
        "model": spec.name,
        "family": spec.family,
        "weights_sha256": spec.weights_sha256,
        "prior_sha256": prior and prior.sha256,
        "source": model.header.source,
        **picked(spec, "clip_frames", "stream_frames", "multiple", "images", "value_range", "codebooks"),
        "clip_256": {"shapes": spec.clip_shapes(*size), **_clip(spec, size)},
        **({"levels": dict(spec.levels), "least_256": _clip(spec, size, least=True)} if spec.levels else {}),
    }


def _clip(spec: TokenizerSpec, size: tuple[int, int], least: bool = False) -> dict[str, Any]:
    """What a clip costs; with levels at most, or at ``least``."""
    return {
        "tokens": spec.tokens_per_clip(*size, least=least),
        "indices": spec.indices_per_clip(*size, least=least),
        "bits": spec.bits_per_clip(*size, least=least),
    }


def _tokens(file: Path) -> dict[str, Any]:
    from sweettok_cli.models.registry import family_of_tokens
    from sweettok_cli.packing.file import PackedFile, looks_packed
    from sweettok_cli.packing.token_file import read_spread
    from sweettok_cli.tokens import token_cost

    meta, spreads = read_spread(file)
    family_of_tokens(meta, str(file))
    packed = PackedFile.open(file).cost if looks_packed(file) else None
    return {
        "file": str(file),
        "kind": "tokens",
        "file_bytes": file.stat().st_size,
        **picked(meta, "model", "family", "weights_sha256", "source", "image"),
        **picked(meta, "width", "height", "padded_width", "padded_height", "frames"),
        "rate": str(meta.rate),
        "variable_rate": meta.times is not None,
        "seconds": None if meta.duration is None else float(meta.duration),
        **picked(meta, "clips", "clip_frames", "overlap", "shapes", "codebooks"),
        "layout": "levels" if meta.levels else "fixed",
        **vars(token_cost(meta)),
        **(_spread(meta, spreads) if spreads else {}),
        "packed": packed and picked(packed, "coded_bits", "ratio", "prior_sha256"),
        "selection": _selection(meta) if meta.selection else None,
        "writer": meta.writer,
    }


def _selection(meta: TokenMeta) -> dict[str, Any]:
    """Which part of the source the tokens are of, and when that begins, in seconds."""
    from sweettok_cli.tokens.selected import write_selection

    return {**write_selection(meta.selection), "begins": float(meta.begins), "text": str(meta.selection)}


def _spread(meta: TokenMeta, spreads: Mapping[str, Spread]) -> dict[str, Any]:
    """Tokens of each array a clip, and how many of its positions have none, one, two, ...

    A packed file does not say without its prior how clips differ: ``least`` and ``most`` are None then.
    """
    return {
        "levels": dict(meta.levels),
        "budget": meta.budget,
        "spread": {
            name: {
                "tokens": spread.tokens,
                "mean": spread.tokens / meta.clips,
                **picked(spread, "least", "most"),
                "positions": spread.positions.tolist(),
            }
            for name, spread in spreads.items()
        },
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
        **picked(found, "width", "height", "frames"),
        "rate": str(found.rate),
        "variable_rate": found.variable_rate,
        "seconds": None if seconds is None else float(seconds),
        "sound": found.has_audio,
        **vars(found.stored),
        "sample_aspect_ratio": str(found.sample_aspect_ratio),
        "flattened": found.stored.flattened,
    }


def _text(data: dict[str, Any]) -> str:
    if data["kind"] == "model":
        rows = _model_rows(data)
    else:
        rows = {"file": f"{data['file']} ({data['file_bytes']:,} bytes)"}
        rows |= _token_rows(data) if data["kind"] == "tokens" else {"picture": _picture(data)}
        if data["kind"] in ("video", "image"):
            rows |= _stored_rows(data)
        if data["kind"] == "video":
            rows["sound"] = "yes" if data["sound"] else "no"
    return lined_up(rows.items())


def _picture(data: dict[str, Any]) -> str:
    """Size, length and rate of a video, an image or what tokens were made from."""
    from fractions import Fraction

    size = f"{data['width']}x{data['height']}"
    if data["kind"] == "image" or data.get("image"):
        return f"{size}, one image"
    frames = "unknown number of frames" if data["frames"] is None else count(data["frames"], "frame")
    rate = f"{float(Fraction(data['rate'])):.5g} fps"
    varies = ", varying" if data["variable_rate"] else ""
    lasts = "" if data["seconds"] is None else f", {data['seconds']:.2f} s"
    return f"{size}, {frames}, {rate}{varies}{lasts}"


def _stored_rows(data: dict[str, Any]) -> dict[str, str]:
    names = {"color_range": "range", "matrix": "matrix", "transfer": "transfer", "primaries": "primaries"}
    colour = [f"{data[key]} {name}" for key, name in names.items() if data[key] is not None]
    mirrored = ["mirrored"] if data["mirrored"] else []
    turned = [f"turned by {data['rotation']} degrees"] if data["rotation"] else []
    ratio = data["sample_aspect_ratio"]
    pixels = [] if ratio == "1" else [f"pixels of {ratio.replace('/', ':')}"]
    rows = {
        "stored as": [data["codec"], data["pixel_format"]],
        "colour": colour or (["not stated"] if data["kind"] == "video" else []),
        "shown": mirrored + turned + pixels,
        "flattened": data["flattened"],
    }
    return {name: ", ".join(words) for name, words in rows.items() if words}


def _token_rows(data: dict[str, Any]) -> dict[str, str]:
    spread = data.get("spread", {})
    if spread:
        each = [
            f"{_per_clip(spread[name]) if name in spread else math.prod(shape[:-1])} {name}"
            for name, shape in data["shapes"].items()
        ]
        shapes = f"{data['tokens'] / data['clips']:,.0f} = {' + '.join(each)}"
    elif _has_words(data["shapes"]):
        shapes = " + ".join(f"{shape[0]} {name}" for name, shape in data["shapes"].items())
    else:
        shapes = ", ".join(f"{name} {_times(shape)}" for name, shape in data["shapes"].items())
    rate = data["kbit_per_second"]
    length = "1 frame" if data["image"] else f"{data['clip_frames']:,} frames"
    inside = _times((data["padded_width"], data["padded_height"]))
    padded = "" if inside == _times((data["width"], data["height"])) else f", padded to {inside}"
    overlap = f", overlapping by {data['overlap']}" if data["overlap"] else ""
    packed = data["packed"]
    held = "" if packed else f"; {8 * data['file_bytes']:,} in this file, compressed"
    return {
        "model": f"{data['model']} (weights {data['weights_sha256'][:12]})",
        "source": f"{data['source']}: {_picture(data)}",
        **({"part": data["selection"]["text"]} if data["selection"] else {}),
        "clips": f"{data['clips']} of {length}{overlap}{padded}",
        "tokens": f"{data['tokens']:,} ({shapes} a clip)",
        **({} if spread else {"layout": "fixed: every clip has a token at every position"}),
        **({"budget": data["budget"]} if data.get("budget") else {}),
        **{f"{name} positions": _positions(data, name) for name in spread if 0 not in data["shapes"][name]},
        "indices": f"{data['indices']:,}",
        "true bits": f"{data['bits']:,.0f} ({data['bits_per_clip']:,.0f} a clip){held}",
        **({"coded bits": _coded(packed, data)} if packed else {}),
        "bits per pixel": f"{data['bits_per_pixel']:.4f}",
        **({} if rate is None else {"kbit per second": f"{rate:.1f}"}),
    }


def _per_clip(known: dict[str, Any]) -> str:
    """Tokens a clip on average, and how they range where they do and that is known."""
    ranges = "" if known["least"] == known["most"] else f" ({known['least']:,} to {known['most']:,})"
    return f"{known['mean']:,.0f}{ranges}"


def _positions(data: dict[str, Any], name: str) -> str:
    """How many positions of an array a clip has, and which share of them how many tokens."""
    counts = data["spread"][name]["positions"]
    whole, none, some = sum(counts), counts[0], list(enumerate(counts))[1:]
    shares = [f"{_percent(many / whole)} have {tokens}" for tokens, many in some if many]
    if none:
        shares = [f"{_percent(none / whole)} have no token", *shares]
    return f"of {_times(data['shapes'][name][:-1])} a clip, {', '.join(shares)}"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _coded(packed: dict[str, Any], data: dict[str, Any]) -> str:
    prior = packed["prior_sha256"]
    how = f"with the token prior {prior[:12]}" if prior else "without a token prior"
    return (
        f"{packed['coded_bits']:,} ({packed['coded_bits'] / data['clips']:,.0f} a clip), {how}; "
        f"{8 * data['file_bytes']:,} in this file, {times_smaller(packed['ratio'], 'true bits')}"
    )


def _model_rows(data: dict[str, Any]) -> dict[str, str]:
    clip, books = data["clip_256"], data["codebooks"]
    words = _has_words(clip["shapes"])
    if words:
        (adjectives, _, nouns), (adverbs, _, verbs) = books["spatial"], books["temporal"]
        codes = f"{adjectives} adjectives, {nouns} nouns; {adverbs} adverbs, {verbs} verbs"
    else:
        codes = f"{books['indices'][0]:,}" if books else "none: continuous latents"
    stream = "" if data["stream_frames"] is None else "; longer videos as one stream"
    images = "" if data["images"] else "; no images"
    origin = data["source"].get("repository") or data["source"].get("file")
    shapes = "" if words else "".join(f" ({_times(shape)})" for shape in clip["shapes"].values())
    least = data.get("least_256", clip)
    tokens = [
        _range(least["tokens"][name], most) + f" {name}" * ("levels" in data)
        for name, most in clip["tokens"].items()
    ]
    return {
        "folder": f"{data['file']} ({data['file_bytes'] / 1e6:.1f} MB)",
        "model": f"{data['model']} (weights {data['weights_sha256'][:12]})",
        **({"made from": str(origin)} if origin else {}),
        "family": data["family"],
        "clips": f"{data['clip_frames']} frames, padded to multiples of {data['multiple']} pixels"
        f"{stream}{images}",
        "words" if words else "codes": codes,
        **({"token prior": data["prior_sha256"][:12]} if data["prior_sha256"] else {}),
        "at 256x256": f"{' + '.join(tokens)} tokens{shapes}, "
        f"{_range(least['indices'], clip['indices'])} indices, "
        f"{_range(least['bits'], clip['bits'], ',.0f')} true bits a clip",
    }


def _has_words(shapes: Iterable[str]) -> bool:
    """Whether tokens are words, and no indices of one codebook or latents."""
    from sweettok_cli.tokens.arrays import ARRAYS

    return all(ARRAYS[name].columns for name in shapes)


def _range(least: float, most: float, form: str = "") -> str:
    return format(most, form) if least == most else f"{least:{form}} to {most:{form}}"


def _times(sides: Iterable[int]) -> str:
    return "x".join(map(str, sides))
