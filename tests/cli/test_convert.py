"""`models convert` from start to end: published checkpoints with made-up weights give the golden pixels.

Each test writes a checkpoint as its trainer would, converts it with the real command, decodes a token file of
golden indices with the real command, and encodes the golden clip with what was converted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sweettok_cli.models.registry import read_spec
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens import TokenMeta, Tokens
from sweettok_cli.tokens.file import write_tokens
from sweettok_cli.zoo.load import load
from tests.parity.rule import Case, case_folder, integers
from tests.published_files import (
    omnitokenizer_settings,
    omnitokenizer_state,
    save_accelerate,
    save_lightning,
    save_words,
    vidtok_state,
)

CLOSE = 1e-3


def golden(name: str) -> Case:
    if not (case_folder(name) / "manifest.json").is_file():
        pytest.skip(f"no golden tensors of {name}")
    return Case(case_folder(name))


def save_tokens(
    path: Path, folder: Path, arrays: dict[str, Tensor], height: int, width: int, frames: int
) -> None:
    """A token file of one clip, as if the model in ``folder`` had encoded it."""
    spec = read_spec(ModelFolder(folder))
    one_stream = spec.stream_frames is not None and frames > 1
    meta = TokenMeta(
        family=spec.family,
        model=spec.name,
        weights_sha256=spec.weights_sha256,
        codebooks={name: tuple(sizes) for name, sizes in spec.codebooks.items()},
        shapes={name: tuple(array.shape[1:]) for name, array in arrays.items()},
        source="golden",
        image=frames == 1,
        width=width,
        height=height,
        padded_width=width,
        padded_height=height,
        frames=frames,
        rate=Fraction(25),
        clip_frames=spec.stream_length(frames) if one_stream else spec.clip_frames,
    )
    stored = {name: array.numpy().astype(meta.dtype(name)) for name, array in arrays.items()}
    write_tokens(path, Tokens(stored, meta))


def check_pixels(case: Case, output: str, decoded: Path, reach: float) -> None:
    """Decoded 8-bit pixels are the golden ones after clipping and rounding."""
    frames = torch.from_numpy(np.load(decoded)).float()
    shape = case.manifest["outputs"][output]["shape"]
    pixels = frames.reshape(-1, *frames.shape[-3:]).permute(3, 0, 1, 2).reshape(shape)  # [1, 3, (t,) h, w]
    expected = dataclasses.replace(case)
    stored = case.data[output].float().clamp(-reach, reach)
    expected.__dict__["data"] = {output: (stored + reach) * (255 / (2 * reach))}
    # Half a step for rounding, and the tolerance of the network in these units.
    assert expected.error(output, pixels) <= 0.5 + CLOSE * 255 / (2 * reach)


@pytest.fixture
def convert(cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Convert with the command into ``tmp_path/model``; what it reports as JSON is kept beside."""

    def run(checkpoint: Path, family: str, *options: object) -> Path:
        ran = cli(
            "models", "convert", checkpoint, "--as", family, "-o", tmp_path / "model", "--json", *options
        )
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        assert report["output"] == str(tmp_path / "model")
        assert f"({report['family']}) -> {tmp_path / 'model'}" in ran.err
        checkpoint.unlink() if checkpoint.is_file() else None  # what follows needs the folder alone
        return tmp_path / "model"

    return run


def decode(cli: Callable[..., Any], tokens: Path, folder: Path) -> Path:
    ran = cli("decode", tokens, "--model", folder, "-o", tokens.with_suffix(".npy"), "--device", "cpu")
    assert ran.code == 0, ran.err
    return tokens.with_suffix(".npy")


def test_omnitokenizer_image(cli: Callable[..., Any], convert: Callable[..., Path], tmp_path: Path) -> None:
    case = golden("omni")
    file = save_lightning(tmp_path / "imagenet_ucf.ckpt", omnitokenizer_state(case), omnitokenizer_settings())
    folder = convert(file, "omnitokenizer")
    indices = case.data["image:indices"].long().reshape(1, 1, 32, 32)
    save_tokens(tmp_path / "image.npz", folder, {"indices": indices}, 256, 256, 1)
    check_pixels(case, "image:recon", decode(cli, tmp_path / "image.npz", folder), reach=0.5)


@pytest.mark.slow
def test_omnitokenizer_clip(cli: Callable[..., Any], convert: Callable[..., Path], tmp_path: Path) -> None:
    case = golden("omni")
    file = save_lightning(tmp_path / "imagenet_ucf.ckpt", omnitokenizer_state(case), omnitokenizer_settings())
    folder = convert(file, "omnitokenizer-imagenet-ucf")
    assert read_spec(ModelFolder(folder)).name == "omnitokenizer-imagenet-ucf"
    indices = integers(case.salt, "omni_idx", 8192, case.manifest["inputs"]["omni_idx"]["shape"])
    save_tokens(tmp_path / "clip.npz", folder, {"indices": indices}, 256, 256, 17)
    check_pixels(case, "video:recon_from_random_idx", decode(cli, tmp_path / "clip.npz", folder), reach=0.5)
    if "video:indices" in case.data:
        network: Any = load(str(folder), "cpu", "float32").network  # type: ignore[attr-defined]
        with torch.inference_mode():
            found = network.encode(case.input_video("omni_video"))
        differs = found != case.data["video:indices"].long()
        assert not (differs & (case.data["video:gap"] > 1e-5)).any()


# The arrangement of a case's golden pixels: what was decoded is "v", or "img" for one frame.
VIDTOK = {
    "vidtok_fsq_causal_488_32768": "img",
    "vidtok_fsq_noncausal_488_262144": "v",
    "vidtok_fsq_causal_41616_262144": "v",
    "vidtok_fsq_causal_888_32768_v1_1": "v",
    "vidtok_kl_causal_288_8chn": "v",
    "vidtok_kl_causal_41616_4chn": "v",
    "vidtok_kl_causal_444_4chn": "v",
    "vidtok_kl_causal_488_4chn": "v",
    "vidtok_kl_causal_488_4chn_v1_1": "v",
    "vidtok_kl_noncausal_488_4chn": "v",
}


def pixels_of(case: Case, kind: str) -> str:
    """The output that golden pixels of a kind are; excerpts have those of some."""
    for output in (f"{kind}:forward", f"{kind}:recon"):
        if output in case.data:
            return output
    pytest.skip(f"no golden pixels {kind} of {case.folder.name}")


@pytest.mark.slow
@pytest.mark.parametrize("name", VIDTOK)
def test_vidtok(cli: Callable[..., Any], convert: Callable[..., Path], tmp_path: Path, name: str) -> None:
    case, kind = golden(name), VIDTOK[name]
    output = pixels_of(case, kind)
    folder = convert(save_lightning(tmp_path / f"{name}.ckpt", vidtok_state(case)), "vidtok")
    spec = read_spec(ModelFolder(folder))
    assert spec.name == name.replace("_", "-").replace("-v1-1", "-v1.1")
    *_, frames, height, width = case.manifest["outputs"][output]["shape"]
    if spec.family == "vidtok-fsq":
        arrays = {"indices": case.data[f"{kind}:indices"].long()}
        save_tokens(tmp_path / "clip.npz", folder, arrays, height, width, frames)
        check_pixels(case, output, decode(cli, tmp_path / "clip.npz", folder), reach=1.0)
        return
    # Token files round latents to half precision.
    save_tokens(tmp_path / "clip.npz", folder, {"latents": case.data[f"{kind}:z"]}, height, width, frames)
    check_pixels(case, output, decode(cli, tmp_path / "clip.npz", folder), reach=1.0)
    network: Any = load(str(folder), "cpu", "float32").network  # type: ignore[attr-defined]
    with torch.inference_mode():
        decoded = network.decode(case.data[f"{kind}:z"])
    assert case.error(output, decoded[:, :, -frames:]) < CLOSE


@pytest.mark.slow
def test_sweettok(cli: Callable[..., Any], convert: Callable[..., Path], tmp_path: Path) -> None:
    case = golden("sweettok_compact")
    words = save_words(tmp_path / "words", case)
    checkpoint = save_accelerate(tmp_path / "unwrapped_model", case.weights(), shards=2)
    folder = convert(checkpoint, "sweettok", "--words-spatial", words[0], "--words-temporal", words[1])
    arrays = {half: case.data[f"{half}_indices"].long() for half in ("spatial", "temporal")}
    save_tokens(tmp_path / "clip.npz", folder, arrays, 256, 256, 17)
    check_pixels(case, "stage2_recon", decode(cli, tmp_path / "clip.npz", folder), reach=0.5)
    ran = cli("words", tmp_path / "clip.npz", "--model", folder, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["words"]["adjectives"][0]["word"].startswith("adj")
    tokenizer: Any = load(str(folder), "cpu", "float32")
    with torch.inference_mode():
        spatial, temporal = tokenizer.network.encode(case.input_video("sweettok_video"))
    for found, half in ((spatial, "spatial"), (temporal, "temporal")):
        assert (found != arrays[half]).sum() <= 1, half  # a near tie may turn one


@pytest.mark.slow
def test_sweettok_of_the_first_stage(
    cli: Callable[..., Any], convert: Callable[..., Path], tmp_path: Path
) -> None:
    """It has no decoder to pixels, and encodes as the second stage does, which froze its encoder."""
    case = golden("sweettok_compact")
    words = save_words(tmp_path / "words", case)
    state = {name: tensor for name, tensor in case.weights().items() if not name.startswith("pixel_")}
    checkpoint = save_accelerate(tmp_path / "run", state, suffix=".safetensors")
    folder = convert(checkpoint, "sweettok", "--words-spatial", words[0], "--words-temporal", words[1])
    tokenizer: Any = load(str(folder), "cpu", "float32")
    assert tokenizer.network.proxy_pixels is None
    with torch.inference_mode():
        spatial, _ = tokenizer.network.encode(case.input_video("sweettok_video"))
    assert (spatial != case.data["spatial_indices"].long()).sum() <= 1


def test_what_happened_is_told(cli: Callable[..., Any], tmp_path: Path) -> None:
    file = save_lightning(tmp_path / "a.ckpt", {"weight": torch.ones(1)})
    ran = cli("models", "convert", file, "--as", "vidtok", "-o", tmp_path / "model")
    assert ran.code == 1 and ran.out == ""
    assert ran.err == (
        f"error: {file} is no VidTok network (encoder.conv_out.weight is missing); "
        "say what it is with --as.\n"
    )
    ran = cli("models", "convert", file, "--as", "sweettok", "--words-spatial", file)
    assert ran.code == 2 and "give both --words-spatial and --words-temporal" in ran.err
    assert cli("models", "convert", file).code == 2
